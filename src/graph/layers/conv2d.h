#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct Conv2dOptions {
  int64_t filters = 0;
  Extents kernel = {3, 3}, stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  int64_t groups = 1;
  bool bias = true;
  Init init = Init::glorot_uniform;
};

namespace layers {
/// x (H, W, C) -> (H', W', filters).
extern const Description<Conv2dOptions> conv2d;
}  // namespace layers

}  // namespace lockstep
