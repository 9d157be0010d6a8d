#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "src/tensor/real.h"

namespace lockstep::cpu {

/// The value, or 0 if the condition is false. With a mask of bits, because compilers make branches of
/// conditional copies, which are mispredicted half of the time, and then do not compute several elements at
/// once.
template <Real T>
T kept_if(bool condition, T value) {
  using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>;
  const auto mask = static_cast<Bits>(-static_cast<int32_t>(condition));
  return std::bit_cast<T>(static_cast<Bits>(std::bit_cast<Bits>(value) & mask));
}

}  // namespace lockstep::cpu
