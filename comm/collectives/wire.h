#pragma once

#include "comm/collectives/communicator.h"
#include "src/tensor/narrow.h"

namespace lockstep {

/// The element type of a two-byte wire.
inline DType dtype_of(Wire wire) { return wire == Wire::bf16 ? DType::bf16 : DType::f16; }

}  // namespace lockstep
