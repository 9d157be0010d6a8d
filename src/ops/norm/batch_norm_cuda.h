#pragma once

// The parts of batch normalization on CUDA, for one micro-batch and for several together. Included by .cu
// files.
#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/norm/batch_norm.h"
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

/// Tensors (N, ..., C), of which only the rows of real samples count.
template <typename Type, int kCount>
struct Samples : Matrices<Type, kCount> {
  const MicroBatchInfo* info;
  int64_t positions;

  __device__ int64_t real_rows(int64_t) const { return info->valid * positions; }
};

/// Sums of x and x^2, both relative to the channel's first element: its distance from the mean is about the
/// spread, so that one pass loses no digits to cancellation.
template <Real Type>
struct Moments : Samples<Type, 1> {
  struct Column {
    float first;
    __device__ Pair operator()(int64_t, const float* x) const {
      const float centered = x[0] - first;
      return {centered, centered * centered};
    }
  };
  __device__ Column column(int64_t column) const {
    return {this->real_rows(0) > 0 ? float{this->matrix[0][column]} : 0.0f};
  }
};

template <Real T>
Moments<T> moments_of(const MicroBatchInfo* info, ConstTensor x) {
  const Matrix matrix(x.shape());
  return {{{{x.data<T>()}, matrix.columns}, info, matrix.positions}};
}

/// Sums of x and x^2 that are there already (see lockstep::batch_norm_forward).
struct GivenSums {
  const MicroBatchInfo* info;
  int64_t samples, positions, columns;
  const float* sums;

  __device__ double mean(int64_t column) const { return sums[column] / count(); }
  /// Of the deviations from the mean.
  __device__ double squares(int64_t column) const {
    const double average = mean(column);
    return fmax(0.0, sums[columns + column] - count() * average * average);
  }
  __device__ double count() const { return static_cast<double>(samples * positions); }
  /// Whether they tell the statistics of a column. Not where a number is not finite.
  __device__ bool suffice(int64_t column) const {
    if (info->valid != samples) return false;
    const double average = mean(column), mean_square = sums[columns + column] / count();
    const double least = 1.0 / (kMaxMeanOfSums * kMaxMeanOfSums);
    return isfinite(mean_square) && least * average * average <= mean_square - average * average;
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

/// Where a gradient passes a ReLU.
enum class Mask {
  everywhere,  ///< there is none
  recomputed,  ///< where the normalized x is above 0
  by_output,   ///< where the output is
};

/// Of one channel: its normalization, and the gradient before the ReLU.
template <Mask kMask>
struct Normalization {
  float mean, factor, shift;

  __device__ float operator()(float x) const { return (x - mean) * factor + shift; }
  /// elements: x, dy, and the output if the mask needs it.
  __device__ float gradient(const float* elements) const {
    if constexpr (kMask == Mask::recomputed) return (*this)(elements[0]) > 0.0f ? elements[1] : 0.0f;
    if constexpr (kMask == Mask::by_output) return elements[2] > 0.0f ? elements[1] : 0.0f;
    return elements[1];
  }
};

/// What batch_norm_forward() computes first: everything but y.
void batch_norm_statistics(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                           ConstTensor running, Tensor mean, Tensor inverse_std, Tensor sums,
                           ConstTensor given);

/// y = (x - mean) * inverse_std * scale + shift and the epilogue for real samples, zero after them.
void batch_norm_apply(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                      ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor y,
                      const BatchNormEpilogue& epilogue);

/// Sums of dy and dy * normalized x, where dy is the gradient before the ReLU. They are the gradients of
/// shift and scale.
template <Real Type, Mask kMask>
struct GradientSums : Samples<Type, kMask == Mask::by_output ? 3 : 2> {
  const float *scale, *shift, *mean, *inverse_std;

  struct Column {
    Normalization<kMask> normalization;
    __device__ Pair operator()(int64_t, const float* elements) const {
      const float gradient = normalization.gradient(elements);
      return {gradient, gradient * (elements[0] - normalization.mean)};
    }
  };
  __device__ Column column(int64_t column) const {
    return {{mean[column], inverse_std[column] * scale[column], shift[column]}};
  }
};

/// Makes of these sums the gradients of shift and scale.
template <typename Finish>
struct FinishGradientSums {
  const float* inverse_std;
  Finish finish;
  __device__ void operator()(int64_t column, Sums sums) const {
    finish(column, {sums.first, sums.second * inverse_std[column]});
  }
};

/// Calls finish(column, sums of dy and of dy * normalized x), and stores the gradient before the ReLU unless
/// x tells it.
template <typename Finish>
void batch_norm_gradient_sums(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                              ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor dy,
                              const BatchNormEpilogueGradient& epilogue, Finish finish) {
  const Matrix matrix(x.shape());
  with_real(x.dtype(), [&]<Real T>(T) {
    const auto run = [&](auto terms) {
      T* written = epilogue.y ? epilogue.masked(dy).data<T>() : epilogue.dadded.data<T>();
      if (!epilogue.relu && written == dy.data<T>()) written = nullptr;
      column_sums(exec, terms, FinishGradientSums<Finish>{inverse_std.data<float>(), finish}, matrix.rows,
                  matrix.columns, written);
    };
    const float *const s = scale.data<float>(), *const b = shift.data<float>();
    const float *const m = mean.data<float>(), *const i = inverse_std.data<float>();
    const auto samples = [&]<int kCount>(Matrices<T, kCount> matrices) {
      return Samples<T, kCount>{matrices, info, matrix.positions};
    };
    if (epilogue.y)
      return run(GradientSums<T, Mask::by_output>{
          samples(Matrices<T, 3>{{x.data<T>(), dy.data<T>(), epilogue.y.data<T>()}, matrix.columns}), s, b, m,
          i});
    const auto two = samples(Matrices<T, 2>{{x.data<T>(), dy.data<T>()}, matrix.columns});
    if (epilogue.relu) return run(GradientSums<T, Mask::recomputed>{two, s, b, m, i});
    run(GradientSums<T, Mask::everywhere>{two, s, b, m, i});
  });
}

/// dx from the sums of dy and of dy * normalized x, (C) each, over this micro-batch, or over all
/// micro-batches, which have *samples real samples in total. After batch_norm_gradient_sums() with the same
/// epilogue.
void batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                               ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor dy,
                               const float* sum_dy, const float* sum_dy_normalized, const float* samples,
                               Tensor dx, const BatchNormEpilogueGradient& epilogue);

}  // namespace lockstep::cuda
