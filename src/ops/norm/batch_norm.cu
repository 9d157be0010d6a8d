#include "src/device/kernels/previous_kernel.h"
#include "src/ops/norm/batch_norm_cuda.h"

namespace lockstep::cuda {

namespace {

template <Real T>
struct StoreStatistics {
  const T* x;
  int64_t positions;
  Statistics statistics;

  __device__ void operator()(int64_t column, Sums moments) const {
    const double n = static_cast<double>(statistics.info->valid * positions);
    double average = 0, squares = 0;
    if (n > 0) {
      const double offset = moments.first / n;
      average = x[column] + offset;
      squares = fmax(0.0, moments.second - n * offset * offset);
    }
    statistics.store(column, n, average, squares);
  }
};

/// The same where columns may be known from sums that are there.
template <Real T>
struct MissingMoments : Moments<T> {
  GivenSums given;
  __device__ bool is_known(int64_t column) const { return given.suffice(column); }
};
template <Real T>
struct StoreGivenStatistics : StoreStatistics<T> {
  GivenSums given;
  __device__ bool is_known(int64_t column) const { return given.suffice(column); }
  __device__ void operator()(int64_t column, Sums moments) const {
    if (!is_known(column)) return StoreStatistics<T>::operator()(column, moments);
    this->statistics.store(column, given.count(), given.mean(column), given.squares(column));
  }
};

/// The epilogue of a normalized x: elements are x, and what is added.
template <bool kAdds, bool kRelu>
__device__ float finished(float normalized, const float* elements) {
  const float sum = kAdds ? normalized + elements[1] : normalized;
  return kRelu && sum < 0.0f ? 0.0f : sum;  // NaN stays NaN
}

template <Real Type, bool kAdds, bool kRelu>
struct Normalize : Samples<Type, kAdds ? 2 : 1> {
  const float *scale, *shift, *mean, *inverse_std;

  struct Column {
    Normalization<Mask::everywhere> normalization;
    __device__ float operator()(int64_t, const float* elements) const {
      return finished<kAdds, kRelu>(normalization(elements[0]), elements);
    }
  };
  __device__ Column column(int64_t column) const {
    return {{mean[column], inverse_std[column] * scale[column], shift[column]}};
  }
};

struct StoreGradients {
  float *dshift, *dscale;
  __device__ void operator()(int64_t column, Sums sums) const {
    dshift[column] = static_cast<float>(sums.first);
    dscale[column] = static_cast<float>(sums.second);
  }
};

template <Real Type, Mask kMask>
struct InputGradient : Samples<Type, 2> {
  const float *scale, *shift, *mean, *inverse_std, *sum_dy, *sum_dy_normalized;
  const float* samples;  ///< the number of samples in these sums; null: this micro-batch's

  struct Column {
    Normalization<kMask> normalization;
    float mean_gradient, slope;
    __device__ float operator()(int64_t, const float* elements) const {
      return normalization.factor *
             (normalization.gradient(elements) - mean_gradient - (elements[0] - normalization.mean) * slope);
    }
  };
  __device__ Column column(int64_t column) const {
    const float summed = samples == nullptr ? static_cast<float>(this->real_rows(0))
                                            : *samples * static_cast<float>(this->positions);
    const float divisor = summed > 0 ? summed : 1.0f;
    return {{mean[column], inverse_std[column] * scale[column], shift[column]},
            sum_dy[column] / divisor,
            sum_dy_normalized[column] * inverse_std[column] / divisor};
  }
};

template <Real Type, bool kAdds, bool kRelu>
struct NormalizeByRunning : Matrices<Type, kAdds ? 2 : 1> {
  const float *scale, *shift, *mean, *variance;
  float epsilon;

  struct Column {
    Normalization<Mask::everywhere> normalization;
    __device__ float operator()(int64_t, const float* elements) const {
      return finished<kAdds, kRelu>(normalization(elements[0]), elements);
    }
  };
  __device__ Column column(int64_t column) const {
    return {{mean[column], scale[column] / sqrtf(variance[column] + epsilon), shift[column]}};
  }
};

template <Real Type, Mask kMask>
struct RunningGradient : Matrices<Type, 2> {
  const float *scale, *shift, *mean, *variance;
  float epsilon;

  struct Column {
    Normalization<kMask> normalization;
    __device__ float operator()(int64_t, const float* elements) const {
      return normalization.factor * normalization.gradient(elements);
    }
  };
  __device__ Column column(int64_t column) const {
    return {{mean[column], scale[column] / sqrtf(variance[column] + epsilon), shift[column]}};
  }
};

/// Calls use.operator()<kAdds, kRelu>().
template <typename Use>
void with_epilogue(const BatchNormEpilogue& epilogue, Use use) {
  if (epilogue.added && epilogue.relu) return use.template operator()<true, true>();
  if (epilogue.added) return use.template operator()<true, false>();
  if (epilogue.relu) return use.template operator()<false, true>();
  use.template operator()<false, false>();
}

/// x, and what is added.
template <Real T, bool kAdds>
Matrices<T, kAdds ? 2 : 1> inputs_of(ConstTensor x, const BatchNormEpilogue& epilogue) {
  if constexpr (kAdds)
    return {{x.data<T>(), epilogue.added.data<T>()}, x.shape()[-1]};
  else
    return {{x.data<T>()}, x.shape()[-1]};
}

__global__ void running_update_kernel(const MicroBatchInfo* info, float momentum, const float* sums,
                                      float* running, int64_t n, const StepGuard* guard) {
  wait_for_previous_kernel();
  if (guard != nullptr && guard->applies == 0) return;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    running[i] = (1.0f - momentum) * running[i] + momentum * (sums[i] * info->weight);
}

}  // namespace

void batch_norm_apply(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                      ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor y,
                      const BatchNormEpilogue& epilogue) {
  const Matrix matrix(x.shape());
  with_real(y.dtype(), [&]<Real T>(T) {
    with_epilogue(epilogue, [&]<bool kAdds, bool kRelu>() {
      const Normalize<T, kAdds, kRelu> map{{inputs_of<T, kAdds>(x, epilogue), info, matrix.positions},
                                           scale.data<float>(),
                                           shift.data<float>(),
                                           mean.data<float>(),
                                           inverse_std.data<float>()};
      column_map(exec, map, matrix.rows, matrix.columns, y.data<T>());
    });
  });
}

void batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                               ConstTensor shift, ConstTensor mean, ConstTensor inverse_std, Tensor dy,
                               const float* sum_dy, const float* sum_dy_normalized, const float* samples,
                               Tensor dx, const BatchNormEpilogueGradient& epilogue) {
  const Matrix matrix(x.shape());
  const auto run = [&]<Real T, Mask kMask>() {
    const Matrices<T, 2> matrices{{x.data<T>(), epilogue.masked(dy).data<T>()}, matrix.columns};
    const InputGradient<T, kMask> map{{matrices, info, matrix.positions},
                                      scale.data<float>(),
                                      shift.data<float>(),
                                      mean.data<float>(),
                                      inverse_std.data<float>(),
                                      sum_dy,
                                      sum_dy_normalized,
                                      samples};
    column_map(exec, map, matrix.rows, matrix.columns, dx.data<T>());
  };
  with_real(dx.dtype(), [&]<Real T>(T) {
    if (epilogue.relu && !epilogue.y) return run.template operator()<T, Mask::recomputed>();
    run.template operator()<T, Mask::everywhere>();
  });
}

void batch_norm_statistics(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                           ConstTensor running, Tensor mean, Tensor inverse_std, Tensor sums,
                           ConstTensor given) {
  const Matrix matrix(x.shape());
  const Statistics statistics{info,
                              matrix.columns,
                              epsilon,
                              running.data<float>(),
                              mean.data<float>(),
                              inverse_std.data<float>(),
                              sums.data<float>()};
  with_real(x.dtype(), [&]<Real T>(T) {
    const StoreStatistics<T> store{x.data<T>(), matrix.positions, statistics};
    if (!given) return column_sums(exec, moments_of<T>(info, x), store, matrix.rows, matrix.columns);
    const GivenSums known{info, x.shape()[0], matrix.positions, matrix.columns, given.data<float>()};
    column_sums(exec, MissingMoments<T>{moments_of<T>(info, x), known}, StoreGivenStatistics<T>{store, known},
                matrix.rows, matrix.columns);
  });
}

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums,
                        const BatchNormEpilogue& epilogue, ConstTensor given) {
  batch_norm_statistics(exec, info, epsilon, x, running, saved_mean, saved_inverse_std, sums, given);
  batch_norm_apply(exec, info, x, scale, shift, saved_mean, saved_inverse_std, y, epilogue);
}

void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std, Tensor dy,
                         Tensor dx, Tensor dscale, Tensor dshift, const BatchNormEpilogueGradient& epilogue) {
  batch_norm_gradient_sums(exec, info, x, scale, shift, saved_mean, saved_inverse_std, dy, epilogue,
                           StoreGradients{dshift.data<float>(), dscale.data<float>()});
  if (dx)
    batch_norm_input_gradient(exec, info, x, scale, shift, saved_mean, saved_inverse_std, dy,
                              dshift.data<float>(), dscale.data<float>(), /*samples=*/nullptr, dx, epilogue);
}

void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y,
                          const BatchNormEpilogue& epilogue) {
  const Matrix matrix(x.shape());
  with_real(y.dtype(), [&]<Real T>(T) {
    with_epilogue(epilogue, [&]<bool kAdds, bool kRelu>() {
      const NormalizeByRunning<T, kAdds, kRelu> map{inputs_of<T, kAdds>(x, epilogue),
                                                    scale.data<float>(),
                                                    shift.data<float>(),
                                                    running_mean.data<float>(),
                                                    running_variance.data<float>(),
                                                    epsilon};
      column_map(exec, map, matrix.rows, matrix.columns, y.data<T>());
    });
  });
}

void batch_norm_inference_gradient(Exec exec, float epsilon, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor running_mean, ConstTensor running_variance,
                                   ConstTensor dy, bool relu, Tensor dx) {
  const Matrix matrix(x.shape());
  const auto run = [&]<Real T, Mask kMask>() {
    const RunningGradient<T, kMask> map{{{x.data<T>(), dy.data<T>()}, matrix.columns},
                                        scale.data<float>(),
                                        shift.data<float>(),
                                        running_mean.data<float>(),
                                        running_variance.data<float>(),
                                        epsilon};
    column_map(exec, map, matrix.rows, matrix.columns, dx.data<T>());
  };
  with_real(dx.dtype(), [&]<Real T>(T) {
    if (relu) return run.template operator()<T, Mask::recomputed>();
    run.template operator()<T, Mask::everywhere>();
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
