#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct LinearOptions {
  int64_t outputs = 0;
  bool bias = true;
  Init init = Init::glorot_uniform;
  double deviation = 1;  ///< of init = normal
};

namespace layers {
/// x (..., In) -> (..., outputs): along the last axis, with the same weights at every position of the others.
extern const Description<LinearOptions> linear;
}  // namespace layers

}  // namespace lockstep
