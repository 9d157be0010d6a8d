#pragma once

#include <bit>
#include <cstdint>

#include "src/tensor/real.h"

namespace lockstep::cpu {

// Assignments in loops over elements. In functions of their own, because GCC does not vectorize a loop marked
// `omp simd` that has a temporary object of a class, such as bf16.

/// to = value, rounded.
template <Real T>
inline void store(float value, T& to) {
  to = T(value);
}

/// to = value, or 0 if the condition is false. With a mask of bits, because compilers make branches of
/// conditional copies, which are mispredicted half of the time.
inline void store_if(bool condition, float value, float& to) {
  const auto mask = static_cast<uint32_t>(-static_cast<int32_t>(condition));
  to = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & mask);
}
template <Real T>
requires(sizeof(T) == 2) inline void store_if(bool condition, const T& value, T& to) {
  to.bits = static_cast<uint16_t>(value.bits & static_cast<uint16_t>(-static_cast<int16_t>(condition)));
}

}  // namespace lockstep::cpu
