#pragma once

// All layers, for building networks.
#include "src/graph/layers/activation.h"
#include "src/graph/layers/add.h"
#include "src/graph/layers/attention.h"
#include "src/graph/layers/batch_norm.h"
#include "src/graph/layers/bias.h"
#include "src/graph/layers/class_token.h"
#include "src/graph/layers/concat.h"
#include "src/graph/layers/conv.h"
#include "src/graph/layers/dropout.h"
#include "src/graph/layers/embedding.h"
#include "src/graph/layers/flatten.h"
#include "src/graph/layers/group_norm.h"
#include "src/graph/layers/linear.h"
#include "src/graph/layers/local_response_norm.h"
#include "src/graph/layers/mean_positions.h"
#include "src/graph/layers/multiply.h"
#include "src/graph/layers/pad.h"
#include "src/graph/layers/pad_channels.h"
#include "src/graph/layers/padding_mask.h"
#include "src/graph/layers/pool.h"
#include "src/graph/layers/positional_embedding.h"
#include "src/graph/layers/scale.h"
#include "src/graph/layers/upsample.h"

namespace lockstep {

/// Every kind of layer that a model file may use. Model files, `model list --layers` and the documentation
/// use only this table.
const std::vector<LayerKind>& layer_kinds();

}  // namespace lockstep
