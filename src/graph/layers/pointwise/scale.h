#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct ScaleOptions {
  double factor = 1;
};

namespace layers {
/// x (...) -> factor * x.
extern const Description<ScaleOptions> scale;
}  // namespace layers

}  // namespace lockstep
