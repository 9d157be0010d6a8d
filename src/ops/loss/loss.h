#pragma once

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Softmax and cross-entropy with label smoothing (Szegedy et al. 2016, section 7), and its gradient, in one
/// pass. logits (B, C); labels (B) int32 in [0, C), checked when the data set is opened, not here. dlogits
/// (B, C), may alias logits; empty in evaluation. Rows from info->valid on are padding: their gradient is
/// zero. metrics (2), overwritten: [sum over real samples of loss * info->weight, count of real samples whose
/// largest logit is the label's; the first of equals]. Subtracts the row maximum first (Goodfellow et al.
/// 2016, section 4.1). Sums run in an order that depends on the shape alone. Enqueues; does not wait.
void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, float label_smoothing, ConstTensor logits,
                           ConstTensor labels, Tensor dlogits, Tensor metrics);

/// The same with target probabilities (B, C) float32 instead of labels (one-hot or soft).
void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, float label_smoothing,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics);

/// Mean over the outputs of the squared error. prediction, target (B, D) float32; dprediction (B, D), may
/// alias prediction; empty in evaluation. metrics (2): [sum over real samples of loss * info->weight, 0].
void mean_squared_error(Exec exec, const MicroBatchInfo* info, ConstTensor prediction, ConstTensor target,
                        Tensor dprediction, Tensor metrics);

/// probabilities (B, C) = softmax(logits), may alias logits: for predict.
void softmax(Exec exec, ConstTensor logits, Tensor probabilities);

}  // namespace lockstep
