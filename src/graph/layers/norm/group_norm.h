#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct LayerNormOptions {
  double epsilon = 1e-5;
  bool bias = true;
};

struct RmsNormOptions {
  double epsilon = 1e-6;
};

struct GroupNormOptions {
  int64_t groups = 0;
  double epsilon = 1e-5;
};

namespace layers {
extern const Description<LayerNormOptions> layer_norm;
extern const Description<RmsNormOptions> rms_norm;
extern const Description<GroupNormOptions> group_norm;
}  // namespace layers

}  // namespace lockstep
