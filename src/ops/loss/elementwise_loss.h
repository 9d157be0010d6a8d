#pragma once

#include "src/ops/loss/loss.h"

namespace lockstep {

/// A loss that compares each output with a target of its own.
enum class ElementwiseLoss {
  squared,               ///< (p - t)^2
  absolute,              ///< |p - t|, with gradient 0 at 0
  huber,                 ///< half the square up to delta, then delta (|p - t| - delta / 2)
  binary_cross_entropy,  ///< of sigmoid(p) and a target t from 0 to 1
};

struct ElementwiseLossSpec {
  ElementwiseLoss loss = ElementwiseLoss::squared;
  float huber_delta = 1;
  /// Of binary_cross_entropy: the weight of t = 1, for each of the last `positive_columns` outputs in turn,
  /// in the backend's memory; null: all 1.
  const float* positive_weights = nullptr;
  int64_t positive_columns = 1;
};

/// The mean over a sample's outputs, as PyTorch's MSELoss, L1Loss, HuberLoss and BCEWithLogitsLoss have it.
/// prediction, target (B, D) float32; dprediction (B, D), may alias prediction; empty in evaluation.
/// metrics: see loss.h; no answer counts as right. Enqueues; does not wait.
void elementwise_loss(Exec exec, const MicroBatchInfo* info, const ElementwiseLossSpec& spec,
                      ConstTensor prediction, ConstTensor target, Tensor dprediction, Tensor metrics);

}  // namespace lockstep
