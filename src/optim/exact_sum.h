#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "src/core/host_device.h"

namespace lockstep {

/// A sum of squares whose bits depend neither on the order of its terms nor on their distribution over
/// threads and ranks: a fixed-point number wide enough for every term (the long accumulator of Kulisch 2013,
/// "Computer arithmetic and validity", chapter 8), so that addition is integer addition.
/// A term is a non-negative double below 2^262 and a multiple of 2^-298, which the sum of up to 64 squares of
/// floats, added in double, always is. Infinity and NaN are allowed. Carries stay in the upper half of each
/// word, so that up to 2^32 terms fit, and two sums are added word by word. All zero bytes are the empty sum.
struct ExactSum {
  static constexpr int kDigits = 19;          ///< of 32 bits, lowest first; digit i counts 2^(32 i - 298)
  static constexpr int kWords = kDigits + 1;  ///< the last counts infinities, and NaNs in its upper half
  uint64_t words[kWords] = {};

  /// What `term` adds to this word.
  LOCKSTEP_HOST_DEVICE static uint64_t contribution(double term, int word) {
    const auto bits = std::bit_cast<uint64_t>(term);
    const int exponent = static_cast<int>(bits >> 52 & kNotFinite);
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    if (exponent == kNotFinite) return word < kDigits ? 0 : uint64_t{1} << (fraction == 0 ? 0 : 32);
    const int shift = exponent - kExponentOfUnit - 32 * word;
    if (exponent == 0 || word == kDigits || shift <= -53 || shift >= 32) return 0;
    const uint64_t mantissa = fraction | uint64_t{1} << 52;
    return (shift >= 0 ? mantissa << shift : mantissa >> -shift) & 0xffffffffu;
  }

  LOCKSTEP_HOST_DEVICE void add(double term) {
    // 53 bits touch three neighbouring digits at most.
    const int exponent = static_cast<int>(std::bit_cast<uint64_t>(term) >> 52 & kNotFinite);
    int first = (exponent - kExponentOfUnit) / 32;
    if (first < 0) first = 0;
    if (exponent == kNotFinite) first = kDigits;
    for (int word = first; word < kWords && word < first + 3; ++word) words[word] += contribution(term, word);
  }

  LOCKSTEP_HOST_DEVICE void add(const ExactSum& other) {
    for (int word = 0; word < kWords; ++word) words[word] += other.words[word];
  }

  /// The double nearest to the sum; ties to even.
  LOCKSTEP_HOST_DEVICE double value() const {
    if (words[kDigits] >> 32 != 0) return std::numeric_limits<double>::quiet_NaN();
    if (words[kDigits] != 0) return std::numeric_limits<double>::infinity();
    uint32_t digits[kDigits];
    uint64_t carry = 0;
    int top = 0;
    for (int i = 0; i < kDigits; ++i) {
      carry += words[i];
      digits[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
      if (digits[i] != 0) top = i;
    }
    // 64 bits from the highest that is set; the last of them also stands for all that follow.
    uint64_t high = uint64_t{digits[top]} << 32 | (top >= 1 ? digits[top - 1] : 0);
    if (high == 0) return 0;
    uint32_t next = top >= 2 ? digits[top - 2] : 0;
    int exponent = 32 * (top - 1) - 298;
    for (; high >> 63 == 0; --exponent) {
      high = high << 1 | next >> 31;
      next <<= 1;
    }
    for (int i = 0; i < top - 2; ++i) next |= digits[i];
    if (next != 0) high |= 1;
    return ldexp(static_cast<double>(high), exponent);
  }

 private:
  static constexpr int kNotFinite = 0x7ff;
  static constexpr int kExponentOfUnit = 1075 - 298;  ///< where a mantissa's last bit counts 2^-298
};

}  // namespace lockstep
