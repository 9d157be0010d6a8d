#pragma once

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/ops/step_guard.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// What follows a normalization in the same pass over memory: y = normalized + added, then a ReLU.
struct BatchNormEpilogue {
  ConstTensor added = {};  ///< like x, or empty
  bool relu = false;
};

/// What the gradient of an epilogue needs. Without one, it is empty.
struct BatchNormEpilogueGradient {
  bool relu = false;
  ConstTensor y = {};  ///< ReLU after an addition only: the output
  Tensor dadded = {};  ///< like x, out: the gradient of what was added. May be dy; empty if nobody needs it

  /// Where the gradient before the ReLU goes, if it is stored.
  Tensor masked(Tensor dy) const { return dadded ? dadded : dy; }
};

/// Batch normalization (Ioffe and Szegedy 2015, algorithms 1 and 2) over every axis but the last, for one
/// micro-batch alone (for several together: sync_batch_norm.h). Only the first info->valid samples count in
/// the statistics; the padding's y and dx are zero. x, y (N, ..., C) of one real type; all others are float:
/// scale, shift, saved_mean, saved_inverse_std (C). sums (2, C), overwritten: valid * mean and valid *
/// unbiased variance, for the running statistics; they are added over micro-batches, and running_update
/// divides them by the samples of the global batch. A channel of a single value has no variance: it
/// contributes the variance in running (2, C), which therefore stays unchanged. Sums are taken in an order
/// that depends only on the shape, and relative to a value near x, so that a large mean costs no digits.
/// given (2, C) float or empty: for each channel the sums of x and of x^2 over all samples, padding included,
/// as the convolution that has computed x adds them up on the way (ConvSpec::sums). On CUDA, x is then read
/// for the statistics of a channel only where these sums do not tell them: if there is padding, which may
/// hold any values, or if a mean of more than kMaxMeanOfSums standard deviations, or a number that is not
/// finite, would cost digits of the variance. On the CPU they are not read.
/// Enqueues; does not wait.
void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums,
                        const BatchNormEpilogue& epilogue = {}, ConstTensor given = {});

/// variance = E(x^2) - mean^2: a relative error e of both sums becomes at most (1 + 3 * 4^2) e of the
/// variance. cuDNN adds up in float, in parts: for e = 2^-18, 64 units in the last place, that is 2^-12 of
/// the variance and 2^-13 of the standard deviation, where the elements of x are rounded to 2^-9 (bf16) or
/// 2^-12 (fp16) of themselves.
inline constexpr float kMaxMeanOfSums = 4;

/// dx (N, ..., C) may be dy's memory unless dadded is, or empty; dscale and dshift (C) are overwritten. With
/// a ReLU, dy may be overwritten.
void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std, Tensor dy,
                         Tensor dx, Tensor dscale, Tensor dshift,
                         const BatchNormEpilogueGradient& epilogue = {});

/// Evaluation: y = (x - running_mean) / sqrt(running_variance + epsilon) * scale + shift, and the epilogue. y
/// may alias x.
void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y,
                          const BatchNormEpilogue& epilogue = {});

/// The gradient of inference: dx as in batch_norm_backward.
void batch_norm_inference_backward(Exec exec, float epsilon, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor running_mean, ConstTensor running_variance,
                                   Tensor dy, Tensor dx, const BatchNormEpilogueGradient& epilogue = {});

/// running = (1 - momentum) running + momentum * sums * info->weight, for `sums` added over the global batch.
/// running (2, C): means, then variances; unchanged if the guard says that the step does not apply. guard may
/// be null.
void batch_norm_running_update(Exec exec, const MicroBatchInfo* info, float momentum, ConstTensor sums,
                               Tensor running, const StepGuard* guard = nullptr);

}  // namespace lockstep
