#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct SliceOptions {
  int64_t first = 0, count = 0;
};

namespace layers {
extern const Description<NoOptions> concat;
extern const Description<SliceOptions> slice;
}  // namespace layers

}  // namespace lockstep
