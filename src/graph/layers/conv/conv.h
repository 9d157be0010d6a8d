#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

/// Of all convolutions, along any number of axes.
struct ConvOptions {
  int64_t filters = 0;
  Extents kernel = 3, stride = 1;
  Padding padding = 0;
  Extents output_padding = 0;  ///< conv_transpose only
  Extents dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  Init init = Init::glorot_uniform;
};

namespace layers {
/// x (length, C) -> (length', filters); (H, W, C) -> (H', W', filters); (D, H, W, C) -> (D', H', W',
/// filters).
extern const Description<ConvOptions> conv1d, conv2d, conv3d;
/// The same shapes; by a stride of s, an extent grows s times. The weight of each is stored (C, windows...,
/// filters/groups).
extern const Description<ConvOptions> conv_transpose1d, conv_transpose2d, conv_transpose3d;
}  // namespace layers

}  // namespace lockstep
