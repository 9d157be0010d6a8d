#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/optim/optimizer.h"

namespace lockstep {

/// One optimizer step over flat buffers, element by element. All pointers are in the backend's memory. Every
/// buffer starts at a kFlatBlock boundary of the flat layout and size is a multiple of kFlatBlock.
///
/// With g = clip_scale * gradient (+ weight_decay * w where it is L2), w the weight and t the step from 1:
///   sgd      state0 = momentum * state0 + g;  d = g + momentum * state0 (nesterov), else state0;  w -= lr *
///   d
///            without momentum: w -= lr * g, state0 is null
///   adam     state0 += (1 - beta1) * (g - state0);  state1 = beta2 * state1 + (1 - beta2) * g * g
///            w -= lr / (1 - beta1^t) * state0 / (sqrt(state1) / sqrt(1 - beta2^t) + epsilon)
///   adagrad  state0 += g * g;  w -= lr * g / (sqrt(state0) + epsilon)
///   rmsprop  state0 = alpha * state0 + (1 - alpha) * g * g;  d = g / (sqrt(state0) + epsilon)
///            with momentum state1 = momentum * state1 + d, d = state1, else state1 is null;  w -= lr * d
/// Decoupled weight decay (AdamW) multiplies w by 1 - lr * weight_decay first.
struct OptimizerUpdate {
  enum class Rule { sgd, adam, adagrad, rmsprop };
  Rule rule = Rule::sgd;
  double momentum = 0;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;
  double alpha = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;          ///< weight decay on the weights (AdamW), not in the gradient
  int64_t size = 0;                ///< floats
  const uint8_t* decay = nullptr;  ///< (size / kFlatBlock): 1 where weight decay applies; null: nowhere
  float* weights = nullptr;
  const float* gradients = nullptr;
  float* state0 = nullptr;
  float* state1 = nullptr;
  const OptimizerScalars* scalars = nullptr;
  const float* clip_scale = nullptr;  ///< one float that every gradient is multiplied by; null: 1
};

/// How many doubles of scratch memory gradient_norm() needs.
inline constexpr int64_t kNormScratch = 1024;

// Both backends. They enqueue and do not wait. Sums run in an order that depends on n alone.

namespace cpu {

void optimizer_update(Exec exec, const OptimizerUpdate& update);

/// norm (1) = the Euclidean norm of n gradients. clip_scale (1) = min(1, clip_norm / (norm + 1e-6)), as
/// PyTorch's clip_grad_norm_ computes it, or 1 when clip_norm is 0. Either output may be null.
void gradient_norm(Exec exec, const float* gradients, int64_t n, double clip_norm, double* scratch,
                   float* norm, float* clip_scale);

}  // namespace cpu

namespace cuda {

void optimizer_update(Exec exec, const OptimizerUpdate& update);
void gradient_norm(Exec exec, const float* gradients, int64_t n, double clip_norm, double* scratch,
                   float* norm, float* clip_scale);

}  // namespace cuda

}  // namespace lockstep
