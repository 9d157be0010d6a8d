#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
/// x (...) -> (product), in memory order: (H, W, C) with C fastest.
extern const Description<NoOptions> flatten;
}  // namespace layers

}  // namespace lockstep
