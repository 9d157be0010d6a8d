#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
extern const Description<NoOptions> relu, sigmoid, tanh, gelu;
}  // namespace layers

}  // namespace lockstep
