#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
extern const Description<NoOptions> multiply;
}  // namespace layers

}  // namespace lockstep
