#pragma once

#include <cstdint>

namespace lockstep::cpu {

/// Sums have so many parts, each of which the compiler keeps in a vector register's place.
inline constexpr int64_t kVectorLanes = 16;

/// The sum of term(i), i < count, in an order that depends only on count.
template <typename Term>
float vector_sum(int64_t count, const Term& term) {
  float lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= count; i += kVectorLanes)
    for (int64_t lane = 0; lane < kVectorLanes; ++lane) lanes[lane] += term(i + lane);
  for (int64_t lane = 0; i < count; ++i, ++lane) lanes[lane] += term(i);
  for (int64_t half = kVectorLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

}  // namespace lockstep::cpu
