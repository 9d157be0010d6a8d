#pragma once

#include "src/ops/attention/attention.h"

namespace lockstep::cpu {

// Attention on the CPU; attention.cpp has checked the arguments.
void attention_forward(const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y, Tensor log_sums,
                       float* workspace);
void attention_backward(const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, float* workspace);
/// In floats, for heads of this width.
int64_t attention_workspace(int64_t positions, int64_t width, DType type);

}  // namespace lockstep::cpu
