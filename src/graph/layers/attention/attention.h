#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct AttentionOptions {
  int64_t heads = 0;
  bool causal = false;
  double dropout = 0;
};

struct MultiheadAttentionOptions {
  int64_t heads = 0;
  bool causal = false;
  double dropout = 0;
  bool bias = true;
};

namespace layers {
/// (T, 3 C) -> (T, C): queries, keys and values of all heads, side by side as one linear layer gives them. A
/// second input (T) is a mask: positions where it is 0 are not read.
extern const Description<AttentionOptions> attention;
/// (T, C) -> (T, C): the same between two linear layers, with the parameters of PyTorch's MultiheadAttention.
/// A second input is a mask.
extern const Description<MultiheadAttentionOptions> multihead_attention;
}  // namespace layers

}  // namespace lockstep
