#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct BatchNormOptions {
  double momentum = 0.1;  ///< weight of the new batch in the running statistics
  double epsilon = 1e-5;
  Init init = Init::ones;  ///< of the scale
};

namespace layers {
/// x (..., C), normalized over the batch and all positions.
extern const Description<BatchNormOptions> batch_norm;
}  // namespace layers

}  // namespace lockstep
