#pragma once

// The parts of batch normalization on the CPU, for one micro-batch and for several together.
#include <cstdint>
#include <vector>

#include "src/ops/micro_batch.h"
#include "src/ops/norm/batch_norm.h"
#include "src/tensor/tensor.h"

namespace lockstep::cpu {

/// The rows of a tensor (N, ..., C): positions of samples, those of real samples first.
struct Rows {
  int64_t all, valid, per_sample, channels;
};
Rows rows_of(const MicroBatchInfo& info, const Shape& shape);

/// For each channel, over the real rows: the sums of the deviations from the mean rounded to float, and of
/// their squares.
struct Moments {
  std::vector<double> deviations, squares;
};
/// mean (C) is overwritten; 0 if there are no real rows.
Moments moments_of(const Rows& rows, ConstTensor x, float* mean);

/// The statistics that normalize a channel: its mean, and the sum of squared deviations from it, over `count`
/// rows.
struct Statistics {
  double count;
  std::vector<double> mean, squares;
};
/// y and the other outputs of forward (see batch_norm_forward).
void normalize(const Rows& rows, const MicroBatchInfo& info, const Statistics& statistics, float epsilon,
               ConstTensor x, const float* scale, const float* shift, const float* running, Tensor y,
               float* saved_mean, float* saved_inverse_std, float* sums, const BatchNormEpilogue& epilogue);

/// For each channel, over the real rows: sums of dy and of dy * normalized x, where dy is the gradient before
/// the ReLU, which is stored in epilogue.masked(dy). They are the gradients of shift and scale.
struct GradientSums {
  std::vector<double> dy, dy_normalized;
};
GradientSums gradient_sums_of(const Rows& rows, ConstTensor x, const float* scale, const float* shift,
                              const float* mean, const float* inverse_std, Tensor dy, float* dscale,
                              float* dshift, const BatchNormEpilogueGradient& epilogue);

/// dx, from sums over `count` rows, and the gradient before the ReLU.
void input_gradient(const Rows& rows, double count, const GradientSums& sums, ConstTensor x,
                    const float* scale, const float* mean, const float* inverse_std, ConstTensor dy,
                    Tensor dx);

}  // namespace lockstep::cpu
