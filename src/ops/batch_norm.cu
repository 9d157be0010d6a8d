#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

/// How many rows of the matrix (N * positions, C) belong to real samples.
__device__ int64_t real_rows(const MicroBatchInfo* info, int64_t positions) {
  return info->valid * positions;
}

/// Sums of x and x^2, both measured from the channel's first element: it is near the mean compared with the
/// spread, so that one pass loses no digits to cancellation.
struct Moments {
  const MicroBatchInfo* info;
  const float* x;
  int64_t positions, columns;

  __device__ Pair operator()(int64_t row, int64_t column) const {
    if (row >= real_rows(info, positions)) return {0.0f, 0.0f};
    const float centered = x[row * columns + column] - x[column];
    return {centered, centered * centered};
  }
};

struct StoreStatistics {
  const MicroBatchInfo* info;
  const float* x;
  int64_t positions, columns;
  float epsilon;
  float *mean, *inverse_std, *sums;

  __device__ void operator()(int64_t column, Pair moments) const {
    const double n = static_cast<double>(real_rows(info, positions));
    double average = 0, sum_of_squares = 0;
    if (n > 0) {
      const double offset = moments.first / n;
      average = x[column] + offset;
      sum_of_squares = fmax(0.0, moments.second - n * offset * offset);
    }
    const double variance = n > 0 ? sum_of_squares / n : 0.0;
    const double unbiased = n > 1 ? sum_of_squares / (n - 1) : variance;
    mean[column] = static_cast<float>(average);
    inverse_std[column] = static_cast<float>(1.0 / sqrt(variance + epsilon));
    sums[column] = static_cast<float>(info->valid * average);
    sums[columns + column] = static_cast<float>(info->valid * unbiased);
  }
};

/// y = x * factor + offset for rows of real samples, zero behind them.
struct Normalize {
  const MicroBatchInfo* info;
  const float *x, *scale, *shift, *mean, *inverse_std;
  int64_t positions;

  struct Column {
    const float* x;
    float mean, factor, shift;
    int64_t rows;
    __device__ float operator()(int64_t row, int64_t element) const {
      return row < rows ? (x[element] - mean) * factor + shift : 0.0f;
    }
  };
  __device__ Column operator()(int64_t column) const {
    return {x, mean[column], inverse_std[column] * scale[column], shift[column], real_rows(info, positions)};
  }
};

/// Sums of dy and dy * normalized x.
struct GradientSums {
  const MicroBatchInfo* info;
  const float *x, *mean, *inverse_std, *dy;
  int64_t positions, columns;

  __device__ Pair operator()(int64_t row, int64_t column) const {
    if (row >= real_rows(info, positions)) return {0.0f, 0.0f};
    const float gradient = dy[row * columns + column];
    return {gradient, gradient * (x[row * columns + column] - mean[column]) * inverse_std[column]};
  }
};

struct StoreGradients {
  float *dshift, *dscale;
  __device__ void operator()(int64_t column, Pair sums) const {
    dshift[column] = sums.first;
    dscale[column] = sums.second;
  }
};

struct InputGradient {
  const MicroBatchInfo* info;
  const float *x, *scale, *mean, *inverse_std, *dy, *dshift, *dscale;
  int64_t positions;

  struct Column {
    const float *x, *dy;
    float mean, inverse_std, factor, mean_gradient, mean_product;
    int64_t rows;
    __device__ float operator()(int64_t row, int64_t element) const {
      if (row >= rows) return 0.0f;
      const float normalized = (x[element] - mean) * inverse_std;
      return factor * (dy[element] - mean_gradient - normalized * mean_product);
    }
  };
  __device__ Column operator()(int64_t column) const {
    const int64_t rows = real_rows(info, positions);
    const float inverse_rows = rows > 0 ? 1.0f / static_cast<float>(rows) : 0.0f;
    return {x,
            dy,
            mean[column],
            inverse_std[column],
            inverse_std[column] * scale[column],
            dshift[column] * inverse_rows,
            dscale[column] * inverse_rows,
            rows};
  }
};

struct NormalizeByRunning {
  const float *x, *scale, *shift, *mean, *variance;
  float epsilon;

  struct Column {
    const float* x;
    float mean, factor, shift;
    __device__ float operator()(int64_t, int64_t element) const {
      return (x[element] - mean) * factor + shift;
    }
  };
  __device__ Column operator()(int64_t column) const {
    return {x, mean[column], scale[column] / sqrtf(variance[column] + epsilon), shift[column]};
  }
};

__global__ void running_update_kernel(const MicroBatchInfo* info, float momentum, const float* sums,
                                      float* running, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    running[i] = (1.0f - momentum) * running[i] + momentum * (sums[i] * info->weight);
}

/// The matrix that a tensor (N, ..., C) is.
struct Matrix {
  int64_t rows, columns, positions;
  explicit Matrix(const Shape& shape)
      : rows(shape[-1] == 0 ? 0 : shape.elements() / shape[-1]),
        columns(shape[-1]),
        positions(shape[0] == 0 ? 0 : rows / shape[0]) {}
};

}  // namespace

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, Tensor y, Tensor saved_mean,
                        Tensor saved_inverse_std, Tensor sums) {
  const auto [rows, columns, positions] = Matrix(x.shape());
  column_sums(exec, Moments{info, x.data<float>(), positions, columns},
              StoreStatistics{info, x.data<float>(), positions, columns, epsilon, saved_mean.data<float>(),
                              saved_inverse_std.data<float>(), sums.data<float>()},
              rows, columns);
  column_map(exec,
             Normalize{info, x.data<float>(), scale.data<float>(), shift.data<float>(),
                       saved_mean.data<float>(), saved_inverse_std.data<float>(), positions},
             rows, columns, y.data<float>());
}

void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift) {
  const auto [rows, columns, positions] = Matrix(x.shape());
  column_sums(exec,
              GradientSums{info, x.data<float>(), saved_mean.data<float>(), saved_inverse_std.data<float>(),
                           dy.data<float>(), positions, columns},
              StoreGradients{dshift.data<float>(), dscale.data<float>()}, rows, columns);
  column_map(exec,
             InputGradient{info, x.data<float>(), scale.data<float>(), saved_mean.data<float>(),
                           saved_inverse_std.data<float>(), dy.data<float>(), dshift.data<float>(),
                           dscale.data<float>(), positions},
             rows, columns, dx.data<float>());
}

void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y) {
  const Matrix matrix(x.shape());
  column_map(exec,
             NormalizeByRunning{x.data<float>(), scale.data<float>(), shift.data<float>(),
                                running_mean.data<float>(), running_variance.data<float>(), epsilon},
             matrix.rows, matrix.columns, y.data<float>());
}

void batch_norm_running_update(Exec exec, const MicroBatchInfo* info, float momentum, ConstTensor sums,
                               Tensor running) {
  const int64_t n = running.elements();
  if (n == 0) return;
  launch(running_update_kernel, blocks_for(n, 256), 256, 0, compute_stream(exec), info, momentum,
         sums.data<float>(), running.data<float>(), n);
}

}  // namespace lockstep::cuda
