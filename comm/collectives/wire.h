#pragma once

#include "comm/collectives/communicator.h"
#include "src/device/narrow.h"

namespace lockstep {

/// The number format of a wire of two bytes.
inline NarrowFloat narrow_float(Wire wire) {
  return wire == Wire::bf16 ? NarrowFloat::bf16 : NarrowFloat::fp16;
}

}  // namespace lockstep
