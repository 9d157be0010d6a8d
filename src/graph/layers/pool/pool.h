#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct PoolOptions {
  Extents window = 2;
  Extents stride = 0;  ///< 0: the window
  Padding padding = 0;
  bool ceil = false;
  bool count_padding = false;  ///< read by average pooling only
};

struct AdaptivePoolOptions {
  Extents output = 1;
};

namespace layers {
/// x (spatial..., C) -> (spatial'..., C), with one, two or three spatial axes.
extern const Description<PoolOptions> max_pool1d, max_pool2d, max_pool3d;
extern const Description<PoolOptions> average_pool1d, average_pool2d, average_pool3d;
extern const Description<AdaptivePoolOptions> adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d;
extern const Description<AdaptivePoolOptions> adaptive_average_pool1d, adaptive_average_pool2d,
    adaptive_average_pool3d;
/// x (..., C) -> (C).
extern const Description<NoOptions> global_average_pool;
}  // namespace layers

}  // namespace lockstep
