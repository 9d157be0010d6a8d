#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct PaddingMaskOptions {
  int64_t padding = 0;
};

namespace layers {
/// ids (...) int32 -> (...): 0 where an id is `padding`, else 1. For the layers that take a mask.
extern const Description<PaddingMaskOptions> padding_mask;
}  // namespace layers

}  // namespace lockstep
