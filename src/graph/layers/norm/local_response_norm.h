#pragma once

#include <cstdint>

#include "src/graph/layers/description.h"

namespace lockstep {

/// PyTorch's defaults: `alpha` is divided by `size`.
struct LocalResponseNormOptions {
  int64_t size = 0;
  double alpha = 1e-4, beta = 0.75, k = 1;
};

namespace layers {
extern const Description<LocalResponseNormOptions> local_response_norm;
}  // namespace layers

}  // namespace lockstep
