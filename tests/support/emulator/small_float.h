#pragma once

// Floating-point numbers of 16 bits.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace emulator {

/// A sign, kExponent bits of exponent and kMantissa of mantissa, as IEEE 754 lays them out; conversion rounds
/// to nearest, ties to even.
template <int kExponent, int kMantissa>
class SmallFloat {
  static_assert(1 + kExponent + kMantissa == 16);

 public:
  SmallFloat() = default;
  explicit SmallFloat(float value) : bits_(encode(value)) {}
  explicit operator float() const { return decode(bits_); }

  friend SmallFloat operator+(SmallFloat a, SmallFloat b) { return SmallFloat(float(a) + float(b)); }
  friend SmallFloat operator-(SmallFloat a, SmallFloat b) { return SmallFloat(float(a) - float(b)); }
  friend SmallFloat operator*(SmallFloat a, SmallFloat b) { return SmallFloat(float(a) * float(b)); }
  friend SmallFloat operator/(SmallFloat a, SmallFloat b) { return SmallFloat(float(a) / float(b)); }
  friend SmallFloat operator-(SmallFloat a) { return SmallFloat(-float(a)); }
  friend bool operator<(SmallFloat a, SmallFloat b) { return float(a) < float(b); }
  friend bool operator>(SmallFloat a, SmallFloat b) { return float(a) > float(b); }
  friend bool operator==(SmallFloat a, SmallFloat b) { return float(a) == float(b); }

 private:
  static constexpr int kBias = (1 << (kExponent - 1)) - 1;
  static constexpr uint16_t kSign = 0x8000;
  static constexpr uint16_t kInfinity = ((1 << kExponent) - 1) << kMantissa;

  static uint16_t encode(float value) {
    const uint16_t sign = std::signbit(value) ? kSign : 0;
    if (std::isnan(value)) return static_cast<uint16_t>(sign | kInfinity | 1 << (kMantissa - 1));
    const double magnitude = std::fabs(static_cast<double>(value));
    if (std::isinf(magnitude)) return sign | kInfinity;
    // In units of the last place of its binade, or of the subnormal numbers, and rounded there.
    const int exponent = magnitude == 0 ? 1 - kBias : std::max(std::ilogb(magnitude), 1 - kBias);
    const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, kMantissa - exponent)));
    const int bits = ((exponent + kBias - 1) << kMantissa) + units;  // a carry goes into the exponent
    return static_cast<uint16_t>(sign | std::min<int>(bits, kInfinity));
  }

  static float decode(uint16_t bits) {
    const int exponent = (bits & kInfinity) >> kMantissa, mantissa = bits & ((1 << kMantissa) - 1);
    float value;
    if (exponent == (1 << kExponent) - 1)
      value =
          mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    else if (exponent == 0)
      value = std::ldexp(static_cast<float>(mantissa), 1 - kBias - kMantissa);
    else
      value = std::ldexp(static_cast<float>(mantissa + (1 << kMantissa)), exponent - kBias - kMantissa);
    return (bits & kSign) != 0 ? -value : value;
  }

  uint16_t bits_;
};

}  // namespace emulator
