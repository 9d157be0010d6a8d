#pragma once

#include <cstdint>
#include <span>

#include "src/device/exec.h"
#include "src/tensor/flat.h"

namespace lockstep {

// Copies blocks of a flat buffer, scattered over it, to or from a packed buffer of as many blocks as there
// are numbers. A negative number stands for no block: its place in the packed buffer is skipped. Numbers do
// not repeat. Everything is in the memory of the backend, and the two buffers do not overlap. Bits are copied
// as they are. Both enqueue and do not wait.

/// Block i of `packed` = block numbers[i] of `flat`.
void take_blocks(Exec exec, std::span<const float> flat, std::span<const int32_t> numbers,
                 std::span<float> packed);
/// Block numbers[i] of `flat` = block i of `packed`.
void put_blocks(Exec exec, std::span<const float> packed, std::span<const int32_t> numbers,
                std::span<float> flat);

}  // namespace lockstep
