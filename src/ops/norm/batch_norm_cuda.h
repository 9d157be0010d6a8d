#pragma once

// The parts of batch normalization on CUDA, for one micro-batch and for several together. Included by .cu
// files.
#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

/// A tensor (N, ..., C) as a matrix.
struct Matrix {
  int64_t rows, columns, positions;
  explicit Matrix(const Shape& shape)
      : rows(shape[-1] == 0 ? 0 : shape.elements() / shape[-1]),
        columns(shape[-1]),
        positions(shape[0] == 0 ? 0 : rows / shape[0]) {}
};

/// The number of rows of the matrix (N * positions, C) that belong to real samples.
inline __device__ int64_t real_rows(const MicroBatchInfo* info, int64_t positions) {
  return info->valid * positions;
}

/// Sums of x and x^2, both relative to the channel's first element: its distance from the mean is about the
/// spread, so that one pass loses no digits to cancellation.
template <Real T>
struct Moments {
  const MicroBatchInfo* info;
  const T* x;
  int64_t positions, columns;

  __device__ Pair operator()(int64_t row, int64_t column) const {
    if (row >= real_rows(info, positions)) return {0.0f, 0.0f};
    const float centered = x[row * columns + column] - x[column];
    return {centered, centered * centered};
  }
};

/// The outputs of forward other than y (see lockstep::batch_norm_forward).
struct Statistics {
  const MicroBatchInfo* info;
  int64_t columns;
  float epsilon;
  const float* running;
  float *mean, *inverse_std, *sums;

  /// squares: the sum of (x - average)^2 over n rows.
  __device__ void store(int64_t column, double n, double average, double squares) const {
    const double variance = n > 0 ? squares / n : 0.0;
    const double unbiased = n > 1 ? squares / (n - 1) : double{running[columns + column]};
    mean[column] = static_cast<float>(average);
    inverse_std[column] = static_cast<float>(1.0 / sqrt(variance + epsilon));
    sums[column] = static_cast<float>(info->valid * average);
    sums[columns + column] = static_cast<float>(info->valid * unbiased);
  }
};

/// Sums of dy and dy * normalized x.
template <Real T>
struct GradientSums {
  const MicroBatchInfo* info;
  const T *x, *dy;
  const float *mean, *inverse_std;
  int64_t positions, columns;

  __device__ Pair operator()(int64_t row, int64_t column) const {
    if (row >= real_rows(info, positions)) return {0.0f, 0.0f};
    const float gradient = dy[row * columns + column];
    return {gradient, gradient * (x[row * columns + column] - mean[column]) * inverse_std[column]};
  }
};

/// y = (x - mean) * inverse_std * scale + shift for rows of real samples, zero after them.
void batch_norm_apply(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                      ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor y);

/// dx from the sums of dy and of dy * normalized x, (C) each, over this micro-batch, or over all
/// micro-batches, which have *samples real samples in total.
void batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                               ConstTensor mean, ConstTensor inverse_std, ConstTensor dy, const float* sum_dy,
                               const float* sum_dy_normalized, const float* samples, Tensor dx);

}  // namespace lockstep::cuda
