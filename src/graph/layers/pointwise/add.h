#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
/// x + y, for two inputs of the same shape.
extern const Description<NoOptions> add;
}  // namespace layers

}  // namespace lockstep
