#include "src/ops/norm/batch_norm_cuda.h"

namespace lockstep::cuda {

namespace {

template <Real T>
struct StoreStatistics {
  const T* x;
  int64_t positions;
  Statistics statistics;

  __device__ void operator()(int64_t column, Sums moments) const {
    const double n = static_cast<double>(real_rows(statistics.info, positions));
    double average = 0, squares = 0;
    if (n > 0) {
      const double offset = moments.first / n;
      average = x[column] + offset;
      squares = fmax(0.0, moments.second - n * offset * offset);
    }
    statistics.store(column, n, average, squares);
  }
};

/// y = x * factor + offset for rows of real samples, zero after them.
template <Real T>
struct Normalize {
  const MicroBatchInfo* info;
  const T* x;
  const float *scale, *shift, *mean, *inverse_std;
  int64_t positions;

  struct Column {
    const T* x;
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

struct StoreGradients {
  float *dshift, *dscale;
  __device__ void operator()(int64_t column, Sums sums) const {
    dshift[column] = static_cast<float>(sums.first);
    dscale[column] = static_cast<float>(sums.second);
  }
};

template <Real T>
struct InputGradient {
  const MicroBatchInfo* info;
  const T *x, *dy;
  const float *scale, *mean, *inverse_std, *sum_dy, *sum_dy_normalized;
  const float* samples;  ///< the number of samples in these sums; null: this micro-batch's
  int64_t positions;

  struct Column {
    const T *x, *dy;
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
    const float summed =
        samples == nullptr ? static_cast<float>(rows) : *samples * static_cast<float>(positions);
    const float inverse_rows = summed > 0 ? 1.0f / summed : 0.0f;
    return {x,
            dy,
            mean[column],
            inverse_std[column],
            inverse_std[column] * scale[column],
            sum_dy[column] * inverse_rows,
            sum_dy_normalized[column] * inverse_rows,
            rows};
  }
};

template <Real T>
struct NormalizeByRunning {
  const T* x;
  const float *scale, *shift, *mean, *variance;
  float epsilon;

  struct Column {
    const T* x;
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
                                      float* running, int64_t n, const StepGuard* guard) {
  if (guard != nullptr && guard->applies == 0) return;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    running[i] = (1.0f - momentum) * running[i] + momentum * (sums[i] * info->weight);
}

}  // namespace

void batch_norm_apply(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                      ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor y) {
  const Matrix matrix(x.shape());
  with_real(y.dtype(), [&]<Real T>(T) {
    column_map(exec,
               Normalize<T>{info, x.data<T>(), scale.data<float>(), shift.data<float>(), mean.data<float>(),
                            inverse_std.data<float>(), matrix.positions},
               matrix.rows, matrix.columns, y.data<T>());
  });
}

void batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                               ConstTensor mean, ConstTensor inverse_std, ConstTensor dy, const float* sum_dy,
                               const float* sum_dy_normalized, const float* samples, Tensor dx) {
  const Matrix matrix(x.shape());
  with_real(dx.dtype(), [&]<Real T>(T) {
    column_map(
        exec,
        InputGradient<T>{info, x.data<T>(), dy.data<T>(), scale.data<float>(), mean.data<float>(),
                         inverse_std.data<float>(), sum_dy, sum_dy_normalized, samples, matrix.positions},
        matrix.rows, matrix.columns, dx.data<T>());
  });
}

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums) {
  const Matrix matrix(x.shape());
  const Statistics statistics{info,
                              matrix.columns,
                              epsilon,
                              running.data<float>(),
                              saved_mean.data<float>(),
                              saved_inverse_std.data<float>(),
                              sums.data<float>()};
  with_real(x.dtype(), [&]<Real T>(T) {
    column_sums(exec, Moments<T>{info, x.data<T>(), matrix.positions, matrix.columns},
                StoreStatistics<T>{x.data<T>(), matrix.positions, statistics}, matrix.rows, matrix.columns);
  });
  batch_norm_apply(exec, info, x, scale, shift, saved_mean, saved_inverse_std, y);
}

void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift) {
  const Matrix matrix(x.shape());
  with_real(x.dtype(), [&]<Real T>(T) {
    column_sums(exec,
                GradientSums<T>{info, x.data<T>(), dy.data<T>(), saved_mean.data<float>(),
                                saved_inverse_std.data<float>(), matrix.positions, matrix.columns},
                StoreGradients{dshift.data<float>(), dscale.data<float>()}, matrix.rows, matrix.columns);
  });
  batch_norm_input_gradient(exec, info, x, scale, saved_mean, saved_inverse_std, dy, dshift.data<float>(),
                            dscale.data<float>(), /*samples=*/nullptr, dx);
}

void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y) {
  const Matrix matrix(x.shape());
  with_real(y.dtype(), [&]<Real T>(T) {
    column_map(exec,
               NormalizeByRunning<T>{x.data<T>(), scale.data<float>(), shift.data<float>(),
                                     running_mean.data<float>(), running_variance.data<float>(), epsilon},
               matrix.rows, matrix.columns, y.data<T>());
  });
}

void batch_norm_running_update(Exec exec, const MicroBatchInfo* info, float momentum, ConstTensor sums,
                               Tensor running, const StepGuard* guard) {
  const int64_t n = running.elements();
  if (n == 0) return;
  launch(running_update_kernel, blocks_for(n, 256), 256, 0, compute_stream(exec), info, momentum,
         sums.data<float>(), running.data<float>(), n, guard);
}

}  // namespace lockstep::cuda
