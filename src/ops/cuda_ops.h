#pragma once

// The CUDA side of the free functions of src/ops, one for one and with the same signatures: NAME.cpp checks
// the arguments and forwards them here, NAME.cu defines. Never called in a CPU-only build, where nothing
// defines them.
#include <cstddef>
#include <cstdint>
#include <span>

#include "src/device/exec.h"
#include "src/ops/attention/attention.h"
#include "src/ops/input/preprocess.h"
#include "src/ops/loss/elementwise_loss.h"
#include "src/ops/loss/output_loss.h"
#include "src/ops/micro_batch.h"
#include "src/ops/norm/batch_norm.h"
#include "src/ops/norm/group_norm.h"
#include "src/ops/norm/local_response_norm.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/pointwise/dropout.h"
#include "src/ops/pool/pool.h"
#include "src/ops/shape/pad.h"
#include "src/ops/shape/upsample.h"
#include "src/ops/step_guard.h"
#include "src/tensor/tensor.h"

namespace lockstep::cuda {

void activation_forward(Exec exec, const ActivationSpec& spec, ConstTensor x, Tensor y);
void activation_backward(Exec exec, const ActivationSpec& spec, ConstTensor saved, ConstTensor dy, Tensor dx);

void add(Exec exec, ConstTensor a, ConstTensor b, Tensor y);

void attention_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                       Tensor log_sums, Tensor workspace);
void attention_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace);

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums,
                        const BatchNormEpilogue& epilogue, ConstTensor given);
void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std, Tensor dy,
                         Tensor dx, Tensor dscale, Tensor dshift, const BatchNormEpilogueGradient& epilogue);
void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y,
                          const BatchNormEpilogue& epilogue);
void batch_norm_inference_gradient(Exec exec, float epsilon, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor running_mean, ConstTensor running_variance,
                                   ConstTensor dy, bool relu, Tensor dx);
void batch_norm_running_update(Exec exec, const MicroBatchInfo* info, float momentum, ConstTensor sums,
                               Tensor running, const StepGuard* guard);

/// b may be empty.
void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y, bool relu = false);
void bias_backward(Exec exec, ConstTensor dy, Tensor db);
void bias_activation_backward(Exec exec, Activation activation, ConstTensor kept, Tensor dy, Tensor db);

void cast(Exec exec, ConstTensor x, Tensor y);

void copy_columns(Exec exec, int64_t columns, ConstTensor x, int64_t x_first, Tensor y, int64_t y_first);

void dropout(Exec exec, const MicroBatchInfo* info, const DropoutSpec& spec, ConstTensor sample_index,
             ConstTensor x, Tensor y, ConstTensor added);

void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y);
void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight, Tensor workspace);
size_t embedding_workspace_bytes(int64_t rows);

void add_fingerprint(Exec exec, std::span<const float> values, int64_t first_block, uint64_t* sum);
void cut_fingerprint(Exec exec, const uint64_t* sum, float* pieces);

void take_blocks(Exec exec, std::span<const float> flat, std::span<const int32_t> numbers,
                 std::span<float> packed);
void put_blocks(Exec exec, std::span<const float> packed, std::span<const int32_t> numbers,
                std::span<float> flat);

void group_norm_forward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                        ConstTensor shift, Tensor y, Tensor saved_mean, Tensor saved_inverse_std);
void group_norm_backward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift, bool adds_to_dx);

void local_response_norm_forward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x, Tensor y,
                                 Tensor scale);
void local_response_norm_backward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x,
                                  ConstTensor scale, ConstTensor dy, Tensor dx);

void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                           ConstTensor logits, ConstTensor labels, Tensor dlogits, Tensor metrics);
void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics);
void elementwise_loss(Exec exec, const MicroBatchInfo* info, const ElementwiseLossSpec& spec,
                      ConstTensor prediction, ConstTensor target, Tensor dprediction, Tensor metrics);
void add_output_loss(Exec exec, float weight, bool is_first, ConstTensor own, Tensor gradient, Tensor total);
void divide_by_weights(Exec exec, Tensor metrics, std::span<float> gradients);
void softmax(Exec exec, ConstTensor logits, Tensor probabilities);

void scale(Exec exec, float factor, ConstTensor x, Tensor y);
void multiply_forward(Exec exec, ConstTensor a, ConstTensor b, Tensor y);
void multiply_backward(Exec exec, ConstTensor a, ConstTensor b, ConstTensor dy, Tensor da, Tensor db);

void pad_forward(Exec exec, const PadSpec& spec, ConstTensor x, Tensor y);
void pad_backward(Exec exec, const PadSpec& spec, ConstTensor dy, Tensor dx);

void max_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y, Tensor argmax);
void max_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx);
void average_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y);
void average_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor dy, Tensor dx);
void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y);
void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx);

void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y);
void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx);

void padding_mask(Exec exec, int32_t padding, ConstTensor ids, Tensor mask);

void prepend_token(Exec exec, ConstTensor token, Tensor y);
void prepend_token_gradient(Exec exec, ConstTensor dy, Tensor dtoken);

void preprocess(Exec exec, const PreprocessSpec& spec, ConstTensor x, ConstTensor pivot, ConstTensor scale,
                ConstTensor shift, Tensor y);

void sync_batch_norm_moments(Exec exec, const MicroBatchInfo* info, ConstTensor x, Tensor moments,
                             Tensor totals);
void sync_batch_norm_deviations(Exec exec, const MicroBatchInfo* info, int64_t positions, ConstTensor moments,
                                ConstTensor totals, Tensor deviations);
void sync_batch_norm_normalize(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                               ConstTensor scale, ConstTensor shift, ConstTensor running, ConstTensor totals,
                               ConstTensor deviations, Tensor y, Tensor saved_mean, Tensor saved_inverse_std,
                               Tensor sums, const BatchNormEpilogue& epilogue);
void sync_batch_norm_gradient_sums(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                   Tensor dy, Tensor dscale, Tensor dshift, Tensor totals,
                                   const BatchNormEpilogueGradient& epilogue);
void sync_batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                    ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                    Tensor dy, ConstTensor totals, Tensor dx,
                                    const BatchNormEpilogueGradient& epilogue);

void upsample_forward(Exec exec, const UpsampleSpec& spec, ConstTensor x, Tensor y);
void upsample_backward(Exec exec, const UpsampleSpec& spec, ConstTensor dy, Tensor dx);

}  // namespace lockstep::cuda
