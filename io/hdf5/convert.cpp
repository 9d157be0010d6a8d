#include "io/hdf5/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

namespace {

template <typename T>
constexpr bool kIsFloat = std::is_floating_point_v<T> || std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

template <size_t kBytes>
using Unsigned = std::conditional_t<
    kBytes == 1, uint8_t,
    std::conditional_t<kBytes == 2, uint16_t, std::conditional_t<kBytes == 4, uint32_t, uint64_t>>>;

template <typename T, bool kSwap>
T load(const std::byte* at) {
  Unsigned<sizeof(T)> bits;
  std::memcpy(&bits, at, sizeof(bits));
  if constexpr (kSwap && sizeof(T) == 2) bits = __builtin_bswap16(bits);
  if constexpr (kSwap && sizeof(T) == 4) bits = __builtin_bswap32(bits);
  if constexpr (kSwap && sizeof(T) == 8) bits = __builtin_bswap64(bits);
  return std::bit_cast<T>(bits);
}

/// As H5Tconvert: to the nearest value, or to the largest or smallest for one that is out of range, which in
/// floating point is an infinity.
template <typename To, typename From>
To converted(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (kIsFloat<From> && !std::is_floating_point_v<From>) {
    return converted<To>(static_cast<float>(value));
  } else if constexpr (kIsFloat<From>) {
    if constexpr (sizeof(To) < sizeof(From)) {
      constexpr auto kLargest = static_cast<From>(std::numeric_limits<To>::max());
      constexpr To kInfinity = std::numeric_limits<To>::infinity();
      if (value > kLargest) return kInfinity;
      if (value < -kLargest) return -kInfinity;
    }
    return static_cast<To>(value);
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else {
    constexpr To kLargest = std::numeric_limits<To>::max(), kSmallest = std::numeric_limits<To>::min();
    if constexpr (std::is_signed_v<From> && (!std::is_signed_v<To> || sizeof(From) > sizeof(To))) {
      if (value < static_cast<From>(kSmallest)) return kSmallest;
    }
    if constexpr (sizeof(From) > sizeof(To) || (sizeof(From) == sizeof(To) && !std::is_signed_v<From>)) {
      if (value > static_cast<From>(kLargest)) return kLargest;
    }
    return static_cast<To>(value);
  }
}

template <typename From, bool kSwap, typename To>
void convert(const std::byte* from, size_t count, std::byte* to) {
  if constexpr (std::is_same_v<From, To> && (!kSwap || sizeof(From) == 1)) {
    // memcpy() takes no null pointers, not even for an empty sequence.
    if (count > 0) std::memcpy(to, from, count * sizeof(To));
  } else {
    for (size_t i = 0; i < count; ++i) {
      const To value = converted<To>(load<From, kSwap>(from + i * sizeof(From)));
      std::memcpy(to + i * sizeof(To), &value, sizeof(To));
    }
  }
}

/// Whether there is a conversion here: see conversion().
template <typename From, typename To>
constexpr bool kIsConverted = std::is_same_v<From, To> || std::is_floating_point_v<To> ||
                              (!kIsFloat<From> && !kIsFloat<To>);

template <typename From, typename To>
Convert chosen(bool swap) {
  if constexpr (kIsConverted<From, To>)
    return swap ? convert<From, true, To> : convert<From, false, To>;
  else
    return nullptr;
}

template <typename From>
Convert from_number(bool swap, DType to) {
  switch (to) {
    case DType::u8:
      return chosen<From, uint8_t>(swap);
    case DType::i32:
      return chosen<From, int32_t>(swap);
    case DType::i64:
      return chosen<From, int64_t>(swap);
    case DType::f16:
      return chosen<From, f16>(swap);
    case DType::bf16:
      return chosen<From, bf16>(swap);
    case DType::f32:
      return chosen<From, float>(swap);
    case DType::f64:
      return chosen<From, double>(swap);
  }
  return nullptr;
}

struct KnownType {
  hid_t little_endian, big_endian;
  Number number;
};

std::optional<NumberType> known(hid_t type) {
  const auto big_endian = [](hid_t little_endian) {
    const hid_t swapped = H5Tcopy(little_endian);
    H5Tset_order(swapped, H5T_ORDER_BE);
    return swapped;
  };
  static const hid_t half = big_endian(memory_type(DType::f16)),
                     bfloat = big_endian(memory_type(DType::bf16));
  const std::array<KnownType, 12> types = {{{H5T_STD_I8LE, H5T_STD_I8BE, Number::i8},
                                            {H5T_STD_U8LE, H5T_STD_U8BE, Number::u8},
                                            {H5T_STD_I16LE, H5T_STD_I16BE, Number::i16},
                                            {H5T_STD_U16LE, H5T_STD_U16BE, Number::u16},
                                            {H5T_STD_I32LE, H5T_STD_I32BE, Number::i32},
                                            {H5T_STD_U32LE, H5T_STD_U32BE, Number::u32},
                                            {H5T_STD_I64LE, H5T_STD_I64BE, Number::i64},
                                            {H5T_STD_U64LE, H5T_STD_U64BE, Number::u64},
                                            {memory_type(DType::f16), half, Number::f16},
                                            {memory_type(DType::bf16), bfloat, Number::bf16},
                                            {H5T_IEEE_F32LE, H5T_IEEE_F32BE, Number::f32},
                                            {H5T_IEEE_F64LE, H5T_IEEE_F64BE, Number::f64}}};
  for (const KnownType& other : types) {
    if (H5Tequal(type, other.little_endian) > 0) return NumberType{other.number, false};
    if (H5Tequal(type, other.big_endian) > 0) return NumberType{other.number, true};
  }
  return std::nullopt;
}

/// The integer whose bits are those of a bit field, if it uses all bits of its bytes.
std::optional<NumberType> bit_field(hid_t type) {
  const bool big_endian = H5Tget_order(type) == H5T_ORDER_BE;
  if (H5Tget_precision(type) != 8 * H5Tget_size(type)) return std::nullopt;
  switch (H5Tget_size(type)) {
    case 1:
      return NumberType{Number::u8, false};
    case 2:
      return NumberType{Number::u16, big_endian};
    case 4:
      return NumberType{Number::u32, big_endian};
    case 8:
      return NumberType{Number::u64, big_endian};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<NumberType> number_type(hid_t type) {
  static_assert(std::endian::native == std::endian::little);
  const Lock lock;
  const H5T_class_t type_class = H5Tget_class(type);
  if (type_class == H5T_BITFIELD) return bit_field(type);
  const Id base(type_class == H5T_ENUM ? H5Tget_super(type) : H5I_INVALID_HID);
  return known(base ? base.get() : type);
}

Convert conversion(NumberType from, DType to) {
  switch (from.number) {
    case Number::i8:
      return from_number<int8_t>(from.big_endian, to);
    case Number::u8:
      return from_number<uint8_t>(from.big_endian, to);
    case Number::i16:
      return from_number<int16_t>(from.big_endian, to);
    case Number::u16:
      return from_number<uint16_t>(from.big_endian, to);
    case Number::i32:
      return from_number<int32_t>(from.big_endian, to);
    case Number::u32:
      return from_number<uint32_t>(from.big_endian, to);
    case Number::i64:
      return from_number<int64_t>(from.big_endian, to);
    case Number::u64:
      return from_number<uint64_t>(from.big_endian, to);
    case Number::f16:
      return from_number<f16>(from.big_endian, to);
    case Number::bf16:
      return from_number<bf16>(from.big_endian, to);
    case Number::f32:
      return from_number<float>(from.big_endian, to);
    case Number::f64:
      return from_number<double>(from.big_endian, to);
  }
  return nullptr;
}

}  // namespace lockstep::hdf5
