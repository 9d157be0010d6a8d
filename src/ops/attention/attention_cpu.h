#pragma once

#include "src/ops/attention/attention.h"

namespace lockstep::cpu {

// Attention on the CPU; attention.cpp has checked the arguments.
void attention_forward(const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y, Tensor log_sums,
                       void* workspace);
void attention_backward(const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, void* workspace);
/// Bytes of the workspace of both.
size_t attention_workspace(const AttentionSpec& spec, const Shape& qkv, DType type);

}  // namespace lockstep::cpu
