#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
/// x + y, two inputs of one shape.
extern const Description<NoOptions> add;
}  // namespace layers

}  // namespace lockstep
