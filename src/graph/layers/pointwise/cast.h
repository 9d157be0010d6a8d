#pragma once

#include <memory>

#include "src/graph/layer.h"

namespace lockstep {

/// Its input in the type of its output; the graph says which that is. Only rewrites add it: see
/// in_precision(). The gradient of either value has the type of the activations, so backward moves it as is.
std::unique_ptr<Layer> make_cast();

}  // namespace lockstep
