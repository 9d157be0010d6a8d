#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/optim/exact_sum.h"
#include "src/optim/optimizer.h"
#include "src/tensor/half.h"

namespace lockstep {

/// By what a rule scales the update of each parameter that weight decay applies to.
enum class TrustRatio { none, lars, lamb };

/// One optimizer step over some blocks of flat buffers. All pointers are in the backend's memory. weights and
/// gradients are the whole flat buffers; everything else has one entry for each block of this update, or one
/// float for each of its weights, in the same order.
///
/// With g = gradient_scale * gradient (+ weight_decay * w where it is L2), w the weight, t the step from 1
/// and ratio that of the block's parameter, or 1:
///   sgd      state0 = momentum * state0 + g;  d = g + momentum * state0 (nesterov), else state0
///            w -= lr * d;  without momentum: w -= lr * g, state0 is null
///   lars     state0 = momentum * state0 + lr * ratio * g;  w -= state0
///            without momentum: w -= lr * ratio * g, state0 is null
///   adam     state0 += (1 - beta1) * (g - state0);  state1 = beta2 * state1 + (1 - beta2) * g * g
///            w -= lr / (1 - beta1^t) * state0 / (sqrt(state1) / sqrt(1 - beta2^t) + epsilon)
///   lamb     state0 and state1 as in adam;  w -= lr * ratio * d, where
///            d = state0 / (1 - beta1^t) / (sqrt(state1) / sqrt(1 - beta2^t) + epsilon) + weight_decay * w
///   adagrad  state0 += g * g;  w -= lr * g / (sqrt(state0) + epsilon)
///   rmsprop  state0 = alpha * state0 + (1 - alpha) * g * g;  d = g / (sqrt(state0) + epsilon)
///            with momentum state1 = momentum * state1 + d, d = state1, else state1 is null;  w -= lr * d
/// Decoupled weight decay (AdamW) multiplies w by 1 - lr * weight_decay first. lr is the step's, times the
/// block's lr_scale.
struct OptimizerUpdate {
  double momentum = 0;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;
  double alpha = 0.99;
  double epsilon = 1e-8;
  double trust = 0.001;
  double weight_decay = 0;
  bool decoupled = false;  ///< weight decay on the weights (AdamW), not in the gradient
  TrustRatio trust_ratio = TrustRatio::none;

  int64_t blocks = 0;                   ///< of kFlatBlock floats
  const int32_t* flat_block = nullptr;  ///< which block of the flat buffers each one is; null: the same
  const uint8_t* decay = nullptr;       ///< 1 where weight decay applies; null: nowhere
  const float* lr_scale = nullptr;      ///< times the learning rate; null: 1 everywhere
  const int32_t* adapted = nullptr;     ///< lars, lamb: which ratio applies, -1 for none; else null
  int64_t ratio_count = 0;
  float* ratios = nullptr;  ///< (ratio_count)
  float* weights = nullptr;
  /// The working copy of the weights, in one of these types or none.
  bf16* bf16_weights = nullptr;
  f16* f16_weights = nullptr;
  const float* gradients = nullptr;
  float* state0 = nullptr;
  float* state1 = nullptr;
  const OptimizerScalars* scalars = nullptr;
  double clip_norm = 0;              ///< 0: gradients are not clipped
  float* gradient_scale = nullptr;   ///< (1): what every gradient is multiplied by
  const StepGuard* guard = nullptr;  ///< weights and states stay as they are when it says so; null: never

  /// Stores weight i of the flat buffers in the working copy, if there is one.
  LOCKSTEP_HOST_DEVICE void store_rounded(int64_t i, float weight) const {
    if (bf16_weights != nullptr) bf16_weights[i] = bf16(weight);
    if (f16_weights != nullptr) f16_weights[i] = f16(weight);
  }

  LOCKSTEP_HOST_DEVICE bool applies() const { return guard == nullptr || guard->applies != 0; }

  /// Where a block's weights and gradients start in the flat buffers.
  LOCKSTEP_HOST_DEVICE int64_t flat_offset(int64_t block) const {
    return (flat_block == nullptr ? block : flat_block[block]) * kFlatBlock;
  }
  LOCKSTEP_HOST_DEVICE bool decays(int64_t block) const { return decay != nullptr && decay[block] != 0; }
  LOCKSTEP_HOST_DEVICE float lr_scale_of(int64_t block) const {
    return lr_scale == nullptr ? 1.0f : lr_scale[block];
  }
  LOCKSTEP_HOST_DEVICE int32_t ratio_index(int64_t block) const {
    return adapted == nullptr ? -1 : adapted[block];
  }
  LOCKSTEP_HOST_DEVICE float ratio(int64_t block) const {
    const int32_t index = ratio_index(block);
    return index < 0 ? 1.0f : ratios[index];
  }
};

/// Exact sums of all ranks: rank r's sum i is at sums[r * stride + i]. All are zero before a rank adds to its
/// own, and made zero by what reads them, so that the next step need not.
struct SumsOfRanks {
  ExactSum* sums = nullptr;
  int ranks = 1;
  int rank = 0;  ///< this one, by its place in `sums`
  int64_t stride = 0;

  LOCKSTEP_HOST_DEVICE ExactSum* own() const { return sums + rank * stride; }
};

// Both backends. They enqueue and do not wait.
//
// A block's squares are added in double in one order: sixteen lanes add elements lane, lane + 16, lane + 32
// and lane + 48; then lane i adds lane i + 8, and so on with 4, 2 and 1. From there on sums are exact.
//
// A function that adds squares also does, if there is one rank, what needs all of them: on a GPU in the same
// kernel. Of several ranks, the caller gathers the sums in between.

namespace cpu {

// The rules, as above: each updates the weights and its states, but that lamb's are up to date already.
void sgd(Exec exec, const OptimizerUpdate& update);
void lars(Exec exec, const OptimizerUpdate& update);
void adam(Exec exec, const OptimizerUpdate& update);
void lamb(Exec exec, const OptimizerUpdate& update);
void adagrad(Exec exec, const OptimizerUpdate& update);
void rmsprop(Exec exec, const OptimizerUpdate& update);

/// This rank's sum 0 += the squares of this update's gradients. With one rank, judge_step() follows.
void add_squares_of_gradients(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                              const StepJudgement& step);
/// Writes the verdict, the guard and gradient_scale. With s the inverse of the scale of the loss, the norm is
/// s * the root of all ranks' sum 0, and gradient_scale = s * min(1, clip_norm / (norm + 1e-6)), as PyTorch's
/// clip_grad_norm_ computes it, or s when clip_norm is 0.
void judge_step(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                const StepJudgement& step);

/// For each parameter with a ratio, this rank's sums (2 * ratio_count) += the squares of its weights, and,
/// ratio_count further on, of what the ratio scales: lars, its gradients as they are, without gradient_scale
/// or decay; lamb, d as above. Lamb updates both states, of all blocks. With one rank, trust_ratios()
/// follows. Nothing happens if the step does not apply.
void add_squares_by_parameter(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares);
/// ratios = |w| / |d| for lamb, trust * |w| / (gradient_scale * |g| + weight_decay * |w|) for lars; 1 where a
/// norm is 0.
void trust_ratios(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares);

}  // namespace cpu

namespace cuda {

void sgd(Exec exec, const OptimizerUpdate& update);
void lars(Exec exec, const OptimizerUpdate& update);
void adam(Exec exec, const OptimizerUpdate& update);
void lamb(Exec exec, const OptimizerUpdate& update);
void adagrad(Exec exec, const OptimizerUpdate& update);
void rmsprop(Exec exec, const OptimizerUpdate& update);
void add_squares_of_gradients(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                              const StepJudgement& step);
void judge_step(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                const StepJudgement& step);
void add_squares_by_parameter(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares);
void trust_ratios(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares);

}  // namespace cuda

}  // namespace lockstep
