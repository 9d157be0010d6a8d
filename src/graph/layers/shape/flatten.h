#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct FlattenOptions {
  int64_t first = 0, last = -1;
};

namespace layers {
/// x (...) -> the same numbers with the axes `first` to `last` as one (-1: the last axis), in memory order:
/// (H, W, C) becomes a vector with C fastest, and with last = 1 the positions (H * W, C).
extern const Description<FlattenOptions> flatten;
}  // namespace layers

}  // namespace lockstep
