#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"

namespace lockstep {

// Losses read float. Their gradients may be narrower, and are multiplied by the scale of the loss.
// A loss adds over the real samples of a micro-batch and overwrites `metrics`, kLossMetrics floats:
//   [sum of loss * weight, count of right answers, sum of weight]
// A sample has one target or several (positions): each weighs info->weight / positions, times the weight of
// its class where classes have weights. Sums run in an order that depends on the shape alone. Samples from
// info->valid on are padding, whose gradient is zero.
inline constexpr int64_t kLossMetrics = 3;

struct CrossEntropySpec {
  float label_smoothing = 0;             ///< part of each target spread over all classes
  int64_t positions = 1;                 ///< targets of one sample, whose rows follow one another
  const float* class_weights = nullptr;  ///< (C) in the backend's memory; null: all 1
  /// A row with this label has no loss, no gradient and no weight.
  int32_t ignored_label = kNoLabel;
  /// Only the first columns of the logits are classes; the others are padding, which has no probability and
  /// the gradient 0. 0: all of them are.
  int64_t classes = 0;

  constexpr int64_t classes_of(int64_t columns) const { return classes > 0 ? classes : columns; }

  static constexpr int32_t kNoLabel = std::numeric_limits<int32_t>::min();
};

/// Softmax and cross-entropy with label smoothing (Szegedy et al. 2016, section 7), and its gradient, in one
/// pass. logits (B, S), where B = samples * positions and the first C columns are the classes; labels (B)
/// int32 in [0, C) or the ignored one, checked when the data set is opened, not here. dlogits (B, S), of any
/// real type, may alias logits if that is float; empty in evaluation.
/// The loss of a row is -sum_c w_c q_c log p_c, where q is the label after smoothing, as in PyTorch's
/// CrossEntropyLoss; right is a row whose largest logit, the first of equals, is the label's. Subtracts the
/// row maximum first (Goodfellow et al. 2016, section 4.1). Enqueues; does not wait.
void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                           ConstTensor logits, ConstTensor labels, Tensor dlogits, Tensor metrics);

/// The same with target probabilities (B, C) float32 instead of labels (one-hot or soft). Every row weighs
/// info->weight / positions, whatever its classes weigh; no row is ignored.
void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics);

/// probabilities (B, C) = softmax(logits), may alias logits: for predict.
void softmax(Exec exec, ConstTensor logits, Tensor probabilities);

/// Makes a sum a weighted mean: divides the gradients and the loss in metrics by the sum of the weights that
/// metrics holds, once all of it has been added over micro-batches and ranks. Where that is zero, because
/// every target was ignored, all become zero. Enqueues; does not wait.
void divide_by_weights(Exec exec, Tensor metrics, std::span<float> gradients);

}  // namespace lockstep
