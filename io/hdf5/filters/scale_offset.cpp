#include <algorithm>
#include <bit>
#include <cmath>

#include "io/hdf5/filters/bits.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

constexpr unsigned kIsFloat = 1;

/// A chunk begins with the number of bits, 4 bytes; the size of the smallest value, 1; and that value, 8.
constexpr size_t kMinimumSizeAt = 4, kMinimumAt = 5, kHeader = 21;

uint64_t number_at(std::span<const std::byte> bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= static_cast<uint64_t>(bytes[at + i]) << 8 * i;
  return value;
}

/// number / 10^digits + minimum, computed in the type of the values as libhdf5 does; bits in and out.
template <typename Float, typename Signed, typename Unsigned>
uint64_t scaled(uint64_t number, uint64_t minimum, int digits) {
  const auto power = static_cast<Float>(std::pow(10.0, digits));
  const auto whole = static_cast<Float>(static_cast<Signed>(static_cast<Unsigned>(number)));
  return std::bit_cast<Unsigned>(whole / power + std::bit_cast<Float>(static_cast<Unsigned>(minimum)));
}

}  // namespace

void decode_scale_offset(std::span<const std::byte> in, std::span<const unsigned> settings,
                         std::span<std::byte> out) {
  // The meaning of the filter's settings in the file (H5Zscaleoffset.c).
  enum { kFactor = 1, kClass = 3, kSize = 4, kOrder = 6, kHasFill = 7, kFill = 8, kSettings = 10 };
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw BadChunk(what);
  };
  constexpr const char* kBadSettings = "the settings of its scale-offset filter are damaged";
  constexpr const char* kCutShort = "its scale-offset data is cut short";
  require(settings.size() >= kSettings, kBadSettings);
  const size_t size = settings[kSize];
  const bool is_float = settings[kClass] == kIsFloat, big_endian = settings[kOrder] != 0;
  require(size >= 1 && size <= 8 && out.size() % size == 0 && (!is_float || size == 4 || size == 8),
          kBadSettings);
  const auto all_bits = static_cast<unsigned>(8 * size);
  if (!is_float && settings[kFactor] == all_bits) {
    require(in.size() == out.size(), "its scale-offset data has another size than its values");
    std::copy(in.begin(), in.end(), out.begin());
    return;
  }
  require(in.size() >= kHeader, kCutShort);
  const auto bits = static_cast<unsigned>(number_at(in, 0, 4));
  const size_t minimum_size = std::min<size_t>(8, static_cast<size_t>(in[kMinimumSizeAt]));
  const uint64_t minimum = number_at(in, kMinimumAt, minimum_size);
  const auto packed = in.subspan(kHeader);
  require(bits <= all_bits, "its scale-offset data is damaged");
  require(bits == 0 || holds(packed, out.size() / size, bits), kCutShort);
  const uint64_t fill = settings[kFill] | static_cast<uint64_t>(settings[kFill + 1]) << 32;
  const bool has_fill = settings[kHasFill] != 0;
  const uint64_t fill_mark = (uint64_t{1} << bits % 64) - 1;
  const int digits = static_cast<int>(settings[kFactor]);
  BitReader reader(packed);
  for (size_t at = 0; at < out.size(); at += size) {
    const auto value = out.subspan(at, size);
    if (bits == all_bits) {  // as they were, in the order of a machine that is little-endian
      put_number(number_at(packed, at, size), big_endian, value);
      continue;
    }
    const uint64_t number = bits > 0 ? reader.take(bits) : 0;
    if (has_fill && number == fill_mark)
      put_number(fill, big_endian, value);
    else if (!is_float)
      put_number(number + minimum, big_endian, value);
    else if (size == 4)
      put_number(scaled<float, int32_t, uint32_t>(number, minimum, digits), big_endian, value);
    else
      put_number(scaled<double, int64_t, uint64_t>(number, minimum, digits), big_endian, value);
  }
}

}  // namespace lockstep::filters
