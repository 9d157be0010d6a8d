#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct DropoutOptions {
  double rate = 0.5;
};

namespace layers {
/// The layer's name and run.seed choose the mask.
extern const Description<DropoutOptions> dropout;
}  // namespace layers

}  // namespace lockstep
