#pragma once

#include <bit>
#include <cstdint>

namespace lockstep::cpu {

/// exp(x) for x up to 88, to one unit in the last place. 0 below -87, where the result would not be a normal
/// number; NaN of NaN. Without branches and calls, so that the compiler computes several at a time in a loop.
inline float vector_exp(float x) {
  constexpr float kSmallest = -87, kLog2E = 0x1.715476p+0f, kRound = 0x1.8p+23f;
  // log(2) in two parts, the first of which has few enough bits for its product with n to be exact.
  constexpr float kLog2High = 0x1.62ep-1f, kLog2Low = 0x1.0bfbe8p-15f;
  const float bounded = x < kSmallest ? kSmallest : x;
  // x = n log(2) + r. Adding kRound rounds to an integer, which is then in the last bits of the sum.
  const float shifted = bounded * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (bounded - n * kLog2High) - n * kLog2Low;
  // The series of exp(r), |r| <= log(2) / 2; the first term that is left out is below 6e-9.
  float sum = 1.f / 5040;
  sum = sum * r + 1.f / 720;
  sum = sum * r + 1.f / 120;
  sum = sum * r + 1.f / 24;
  sum = sum * r + 1.f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1;
  sum = sum * r + 1;
  const uint32_t exponent = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound);
  const float power = std::bit_cast<float>((exponent + 127) << 23);
  return x < kSmallest ? 0 : sum * power;
}

}  // namespace lockstep::cpu
