#include "src/device/kernels/previous_kernel.h"
#include "src/ops/norm/batch_norm_cuda.h"

namespace lockstep::cuda {

namespace {

/// The mean from summed totals: the same float for all micro-batches, near the exact mean.
__device__ float first_mean(const float* totals, int64_t columns, int64_t column, int64_t positions) {
  return totals[column] / fmaxf(totals[columns] * static_cast<float>(positions), 1.0f);
}

template <Real T>
struct StoreMoments {
  const MicroBatchInfo* info;
  const T* x;
  int64_t positions, columns;
  float *moments, *totals;

  __device__ void operator()(int64_t column, Sums sums) const {
    const int64_t rows = info->valid * positions;
    // If there is only padding, it may hold any values.
    const float pivot = rows > 0 ? float{x[column]} : 0.0f;
    moments[column] = pivot;
    moments[columns + column] = static_cast<float>(sums.first);
    moments[2 * columns + column] = static_cast<float>(sums.second);
    totals[column] = static_cast<float>(static_cast<double>(rows) * pivot + sums.first);
    if (column == 0) totals[columns] = static_cast<float>(info->valid);
  }
};

/// Converts the moments from the pivot to the first mean.
__global__ void joint_deviations_kernel(const MicroBatchInfo* info, int64_t positions, int64_t columns,
                                        const float* moments, const float* totals, float* deviations) {
  wait_for_previous_kernel();
  const double rows = static_cast<double>(info->valid * positions);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; column < columns; column += stride) {
    const double first = moments[columns + column], second = moments[2 * columns + column];
    const double distance =
        static_cast<double>(moments[column]) - first_mean(totals, columns, column, positions);
    deviations[column] = static_cast<float>(first + rows * distance);
    deviations[columns + column] = static_cast<float>(second + distance * (2.0 * first + rows * distance));
  }
}

__global__ void joint_statistics_kernel(int64_t positions, const float* totals, const float* deviations,
                                        Statistics statistics) {
  wait_for_previous_kernel();
  const int64_t columns = statistics.columns;
  const double rows = static_cast<double>(totals[columns]) * static_cast<double>(positions);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; column < columns; column += stride) {
    const double offset = rows > 0 ? deviations[column] / rows : 0.0;
    statistics.store(column, rows, first_mean(totals, columns, column, positions) + offset,
                     fmax(0.0, deviations[columns + column] - rows * offset * offset));
  }
}

struct StoreGradientSums {
  const MicroBatchInfo* info;
  int64_t columns;
  float *dshift, *dscale, *totals;

  __device__ void operator()(int64_t column, Sums sums) const {
    dshift[column] = totals[column] = static_cast<float>(sums.first);
    dscale[column] = totals[columns + column] = static_cast<float>(sums.second);
    if (column == 0) totals[2 * columns] = static_cast<float>(info->valid);
  }
};

}  // namespace

void sync_batch_norm_moments(Exec exec, const MicroBatchInfo* info, ConstTensor x, Tensor moments,
                             Tensor totals) {
  const Matrix matrix(x.shape());
  with_real(x.dtype(), [&]<Real T>(T) {
    column_sums(exec, moments_of<T>(info, x),
                StoreMoments<T>{info, x.data<T>(), matrix.positions, matrix.columns, moments.data<float>(),
                                totals.data<float>()},
                matrix.rows, matrix.columns);
  });
}

void sync_batch_norm_deviations(Exec exec, const MicroBatchInfo* info, int64_t positions, ConstTensor moments,
                                ConstTensor totals, Tensor deviations) {
  const int64_t columns = moments.shape()[-1];
  launch(joint_deviations_kernel, blocks_for(columns, 128), 128, 0, compute_stream(exec), info, positions,
         columns, moments.data<float>(), totals.data<float>(), deviations.data<float>());
}

void sync_batch_norm_normalize(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                               ConstTensor scale, ConstTensor shift, ConstTensor running, ConstTensor totals,
                               ConstTensor deviations, Tensor y, Tensor saved_mean, Tensor saved_inverse_std,
                               Tensor sums, const BatchNormEpilogue& epilogue) {
  const auto [rows, columns, positions] = Matrix(x.shape());
  const Statistics statistics{info,
                              columns,
                              epsilon,
                              running.data<float>(),
                              saved_mean.data<float>(),
                              saved_inverse_std.data<float>(),
                              sums.data<float>()};
  launch(joint_statistics_kernel, blocks_for(columns, 128), 128, 0, compute_stream(exec), positions,
         totals.data<float>(), deviations.data<float>(), statistics);
  batch_norm_apply(exec, info, x, scale, shift, saved_mean, saved_inverse_std, y, epilogue);
}

void sync_batch_norm_gradient_sums(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                   Tensor dy, Tensor dscale, Tensor dshift, Tensor totals,
                                   const BatchNormEpilogueGradient& epilogue) {
  batch_norm_gradient_sums(exec, info, x, scale, shift, saved_mean, saved_inverse_std, dy, epilogue,
                           StoreGradientSums{info, x.shape()[-1], dshift.data<float>(), dscale.data<float>(),
                                             totals.data<float>()});
}

void sync_batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                    ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                    Tensor dy, ConstTensor totals, Tensor dx,
                                    const BatchNormEpilogueGradient& epilogue) {
  const int64_t channels = x.shape()[-1];
  const float* const summed = totals.data<float>();
  batch_norm_input_gradient(exec, info, x, scale, shift, saved_mean, saved_inverse_std, dy, summed,
                            summed + channels, summed + 2 * channels, dx, epilogue);
}

}  // namespace lockstep::cuda
