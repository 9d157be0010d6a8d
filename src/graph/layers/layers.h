#pragma once

// All layers, for building networks.
#include "src/graph/layers/attention/attention.h"
#include "src/graph/layers/conv/conv.h"
#include "src/graph/layers/input/embedding.h"
#include "src/graph/layers/input/padding_mask.h"
#include "src/graph/layers/input/positional_embedding.h"
#include "src/graph/layers/matmul/linear.h"
#include "src/graph/layers/norm/batch_norm.h"
#include "src/graph/layers/norm/group_norm.h"
#include "src/graph/layers/norm/local_response_norm.h"
#include "src/graph/layers/pointwise/activation.h"
#include "src/graph/layers/pointwise/add.h"
#include "src/graph/layers/pointwise/bias.h"
#include "src/graph/layers/pointwise/dropout.h"
#include "src/graph/layers/pointwise/multiply.h"
#include "src/graph/layers/pointwise/scale.h"
#include "src/graph/layers/pool/mean_positions.h"
#include "src/graph/layers/pool/pool.h"
#include "src/graph/layers/shape/class_token.h"
#include "src/graph/layers/shape/concat.h"
#include "src/graph/layers/shape/flatten.h"
#include "src/graph/layers/shape/pad.h"
#include "src/graph/layers/shape/pad_channels.h"
#include "src/graph/layers/shape/upsample.h"

namespace lockstep {

/// Every kind of layer that a model file may use. Model files, `model list --layers` and the documentation
/// use only this table.
const std::vector<LayerKind>& layer_kinds();

}  // namespace lockstep
