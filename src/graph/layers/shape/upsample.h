#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct UpsampleOptions {
  Extents factor = 2;
  bool linear = false;
};

namespace layers {
extern const Description<UpsampleOptions> upsample;
}  // namespace layers

}  // namespace lockstep
