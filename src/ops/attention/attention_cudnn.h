#pragma once

// Attention on the engines of cuDNN that were chosen for it (AttentionSpec::engines).
#include <cstddef>

#include "src/ops/attention/attention.h"

namespace lockstep::cuda {

/// For qkv of a type of two bytes, which is not empty, without dropout and mask.
AttentionEngines choose_attention_engines(Exec exec, const AttentionSpec& spec, const Shape& qkv, DType type);

/// The most that one of them needs; 0 if there is none.
size_t workspace_bytes(const AttentionEngines& engines);

// As attention_forward() and attention_backward().
void engine_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                    Tensor log_sums, Tensor workspace);
void engine_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                     ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace);

}  // namespace lockstep::cuda
