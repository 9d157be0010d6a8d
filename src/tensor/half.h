#pragma once

#include <bit>
#include <cstdint>

#include "src/core/host_device.h"

namespace lockstep {

/// bfloat16: the upper half of a float. Conversion rounds to nearest, ties to even; overflow gives an
/// infinity, and a NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  LOCKSTEP_HOST_DEVICE explicit bf16(float value) : bits(rounded(std::bit_cast<uint32_t>(value))) {}
  LOCKSTEP_HOST_DEVICE operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }

 private:
  LOCKSTEP_HOST_DEVICE static uint16_t rounded(uint32_t value) {
    if ((value & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(value >> 16 | 0x40u);
    const uint32_t tie = value >> 16 & 1u;  // to even
    return static_cast<uint16_t>((value + 0x7FFFu + tie) >> 16);
  }
};

/// IEEE 754 binary16. Conversion rounds as bf16's does.
struct f16 {
  uint16_t bits = 0;

  f16() = default;
  LOCKSTEP_HOST_DEVICE explicit f16(float value) : bits(rounded(std::bit_cast<uint32_t>(value))) {}
  LOCKSTEP_HOST_DEVICE operator float() const {
    const uint32_t sign = uint32_t{bits & 0x8000u} << 16, magnitude = bits & 0x7FFFu;
    // The exponent is 112 too small (the biases are 15 and 127); a multiplication corrects it, for subnormal
    // halves too.
    const uint32_t widened = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
    const uint32_t special = magnitude >= 0x7C00u ? 0x7F800000u : 0u;  // infinity or NaN
    return std::bit_cast<float>(widened | special | sign);
  }

 private:
  LOCKSTEP_HOST_DEVICE static uint16_t rounded(uint32_t value) {
    const uint32_t sign = value >> 16 & 0x8000u, magnitude = value & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
    if (magnitude >= std::bit_cast<uint32_t>(0x1p16f)) return static_cast<uint16_t>(sign | 0x7C00u);
    if (magnitude < std::bit_cast<uint32_t>(0x1p-14f)) {
      // A subnormal half counts units of 2^-24, which is the last place of 0.5: the addition rounds.
      const float units = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(units) - std::bit_cast<uint32_t>(0.5f)));
    }
    const uint32_t tie = magnitude >> 13 & 1u;
    return static_cast<uint16_t>(sign | ((magnitude - (112u << 23) + 0xFFFu + tie) >> 13));
  }
};

}  // namespace lockstep
