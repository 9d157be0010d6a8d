#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
/// A trained vector added along the last axis.
extern const Description<NoOptions> bias;
}  // namespace layers

}  // namespace lockstep
