#include "tests/support/harness/values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "src/core/error.h"

namespace lockstep::test {

namespace {

/// A float of 16 bits: sign, exponent, fraction.
struct Narrow {
  int exponent_bits, fraction_bits;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }

  double value(uint16_t bits) const {
    const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    const int fraction = bits & ((1 << fraction_bits) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
    const int one = 1 << fraction_bits, shift = std::max(exponent, 1) - bias() - fraction_bits;
    return sign * std::ldexp(exponent == 0 ? fraction : one + fraction, shift);
  }

  /// The nearest, of two the even one.
  uint16_t bits(double value) const {
    const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
    const int infinity = ((1 << exponent_bits) - 1) << fraction_bits;
    if (std::isnan(value)) return static_cast<uint16_t>(sign | infinity | 1);
    if (std::isinf(value)) return static_cast<uint16_t>(sign | infinity);
    const int exponent = std::max(value == 0 ? -bias() : std::ilogb(value), 1 - bias());
    // In units of the last place; a carry of the fraction goes into the exponent by itself.
    const auto units =
        static_cast<int>(std::nearbyint(std::ldexp(std::abs(value), fraction_bits - exponent)));
    const int all = units + ((exponent + bias() - 1) << fraction_bits);
    return static_cast<uint16_t>(sign | std::min(all, infinity));
  }
};

constexpr Narrow kHalf{5, 10}, kBFloat{8, 7};

template <typename T, typename Convert>
std::vector<uint8_t> bytes_of(const Doubles& values, Convert convert) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    const T value = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

template <typename T, typename Convert>
Doubles values_of(const std::vector<uint8_t>& bytes, Convert convert) {
  Doubles values;
  for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values.push_back(convert(value));
  }
  return values;
}

template <typename T>
T whole(double value) {
  return static_cast<T>(std::floor(value));
}

}  // namespace

std::vector<uint8_t> encode(DType dtype, const Doubles& values) {
  switch (dtype) {
    case DType::u8:
      return bytes_of<uint8_t>(values, whole<uint8_t>);
    case DType::i32:
      return bytes_of<int32_t>(values, whole<int32_t>);
    case DType::i64:
      return bytes_of<int64_t>(values, whole<int64_t>);
    case DType::f16:
      return bytes_of<uint16_t>(values, [](double value) { return kHalf.bits(value); });
    case DType::bf16:
      return bytes_of<uint16_t>(values, [](double value) { return kBFloat.bits(value); });
    case DType::f32:
      return bytes_of<float>(values, [](double value) { return static_cast<float>(value); });
    case DType::f64:
      return bytes_of<double>(values, [](double value) { return value; });
  }
  fail(ExitCode::bug, "no values of this type");
}

Doubles decode(DType dtype, const std::vector<uint8_t>& bytes) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  switch (dtype) {
    case DType::u8:
      return values_of<uint8_t>(bytes, number);
    case DType::i32:
      return values_of<int32_t>(bytes, number);
    case DType::i64:
      return values_of<int64_t>(bytes, number);
    case DType::f16:
      return values_of<uint16_t>(bytes, [](uint16_t bits) { return kHalf.value(bits); });
    case DType::bf16:
      return values_of<uint16_t>(bytes, [](uint16_t bits) { return kBFloat.value(bits); });
    case DType::f32:
      return values_of<float>(bytes, number);
    case DType::f64:
      return values_of<double>(bytes, number);
  }
  fail(ExitCode::bug, "no values of this type");
}

}  // namespace lockstep::test
