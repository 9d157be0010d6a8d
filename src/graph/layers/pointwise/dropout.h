#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct DropoutOptions {
  double rate = 0.5;
};

namespace layers {
/// The mask depends on the layer's name and run.seed.
extern const Description<DropoutOptions> dropout;
}  // namespace layers

}  // namespace lockstep
