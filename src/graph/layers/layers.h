#pragma once

// All layers, for those who build networks.
#include "src/graph/layers/activation.h"
#include "src/graph/layers/add.h"
#include "src/graph/layers/batch_norm.h"
#include "src/graph/layers/bias.h"
#include "src/graph/layers/conv2d.h"
#include "src/graph/layers/dropout.h"
#include "src/graph/layers/flatten.h"
#include "src/graph/layers/linear.h"
#include "src/graph/layers/pool2d.h"

namespace lockstep {

/// Every kind of layer that a model file may name. The model file, `model list --layers` and the
/// documentation read this table and nothing else.
const std::vector<LayerKind>& layer_kinds();

}  // namespace lockstep
