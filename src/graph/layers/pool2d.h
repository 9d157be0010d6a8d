#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct Pool2dOptions {
  Extents window = {2, 2};
  Extents stride = {0, 0};  ///< 0: the window
  Extents padding = {0, 0};
};

namespace layers {
/// x (H, W, C) -> (H', W', C).
extern const Description<Pool2dOptions> max_pool2d, average_pool2d;
/// x (..., C) -> (C).
extern const Description<NoOptions> global_average_pool;
}  // namespace layers

}  // namespace lockstep
