#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

namespace layers {
/// (T, C) -> (C). A second input (T) is a mask: positions where it is 0 do not count.
extern const Description<NoOptions> mean_positions;
}  // namespace layers

}  // namespace lockstep
