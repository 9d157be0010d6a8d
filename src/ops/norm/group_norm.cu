#include <algorithm>

#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kMaxThreads = 256;

struct Groups {
  int64_t count;  ///< of all samples
  int64_t groups, positions, channels, width;

  Groups(const GroupNormSpec& spec, const Shape& shape)
      : count(shape[0] * spec.groups),
        groups(spec.groups),
        positions(shape[1]),
        channels(shape[2]),
        width(shape[2] / spec.groups) {}

  __device__ int64_t size() const { return positions * width; }
  __device__ int64_t first_channel(int64_t group) const { return group % groups * width; }
  __device__ int64_t first(int64_t group) const {
    return group / groups * positions * channels + first_channel(group);
  }
  /// Of the element i of a group: its offset from the first, and its channel in the group.
  __device__ int64_t offset(int64_t i) const { return groups == 1 ? i : i / width * channels + i % width; }
  __device__ int64_t channel(int64_t i) const { return positions == 1 ? i : i % width; }
};

unsigned threads_of(const Groups& groups) {
  const int64_t warps = (groups.positions * groups.width + 127) / 128;
  return static_cast<unsigned>(std::clamp<int64_t>(32 * warps, 32, kMaxThreads));
}

/// The sum of value(i) over the elements i of a group, for all threads of the block.
template <typename Value>
__device__ double group_sum(int64_t size, double* shared, Value value) {
  LongSum mine;
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) mine.add(value(i));
  return block_reduce(mine.value(), Sum{}, shared);
}

/// A block normalizes a group at a time.
template <Real T>
__global__ void group_norm_kernel(Groups groups, bool centered, float epsilon, const T* all_x,
                                  const float* all_scale, const float* all_shift, T* all_y, float* means,
                                  float* inverse_stds) {
  wait_for_previous_kernel();
  __shared__ double shared[kMaxThreads / 32];
  const int64_t size = groups.size();
  for (int64_t group = blockIdx.x; group < groups.count; group += gridDim.x) {
    const T* const x = all_x + groups.first(group);
    const float* const scale = all_scale + groups.first_channel(group);
    float mean = 0.0f;
    if (centered)
      mean = static_cast<float>(
          group_sum(size, shared, [&](int64_t i) -> float { return x[groups.offset(i)]; }) /
          static_cast<double>(size));
    const double squares = group_sum(size, shared, [&](int64_t i) {
      const float deviation = x[groups.offset(i)] - mean;
      return deviation * deviation;
    });
    const float inverse_std =
        static_cast<float>(1.0 / sqrt(squares / static_cast<double>(size) + double{epsilon}));
    T* const y = all_y + groups.first(group);
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      const int64_t offset = groups.offset(i), channel = groups.channel(i);
      const float shift = all_shift == nullptr ? 0.0f : all_shift[groups.first_channel(group) + channel];
      y[offset] = T((x[offset] - mean) * (inverse_std * scale[channel]) + shift);
    }
    if (threadIdx.x == 0) {
      means[group] = mean;
      inverse_stds[group] = inverse_std;
    }
  }
}

/// A thread reads and writes the same elements, so dx may be dy.
template <Real T>
__global__ void group_norm_input_gradient_kernel(Groups groups, bool centered, const T* all_x,
                                                 const float* all_scale, const float* means,
                                                 const float* inverse_stds, const T* all_dy, T* all_dx,
                                                 bool adds_to_dx) {
  wait_for_previous_kernel();
  __shared__ double shared[kMaxThreads / 32];
  const int64_t size = groups.size();
  for (int64_t group = blockIdx.x; group < groups.count; group += gridDim.x) {
    const T *const x = all_x + groups.first(group), *const dy = all_dy + groups.first(group);
    const float* const scale = all_scale + groups.first_channel(group);
    T* const dx = all_dx + groups.first(group);
    const float mean = means[group], inverse_std = inverse_stds[group];
    const auto gradient = [&](int64_t i) { return dy[groups.offset(i)] * scale[groups.channel(i)]; };
    const auto normalized = [&](int64_t i) { return (x[groups.offset(i)] - mean) * inverse_std; };
    const double elements = static_cast<double>(size);
    float mean_gradient = 0.0f;
    if (centered) mean_gradient = static_cast<float>(group_sum(size, shared, gradient) / elements);
    const float mean_product = static_cast<float>(
        group_sum(size, shared, [&](int64_t i) { return gradient(i) * normalized(i); }) / elements);
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x)
      dx[groups.offset(i)] = T((adds_to_dx ? float{dx[groups.offset(i)]} : 0.0f) +
                               inverse_std * (gradient(i) - mean_gradient - normalized(i) * mean_product));
  }
}

/// dy and dy * normalized x. Elements are x and dy.
template <Real Type>
struct ParameterTerms : Matrices<Type, 2> {
  int64_t groups, positions, width;
  const float *means, *inverse_stds;

  struct Column {
    int64_t groups, positions, group;  ///< of the sample
    const float *means, *inverse_stds;
    __device__ Pair operator()(int64_t row, const float* elements) const {
      const int64_t at = row / positions * groups + group;
      return {elements[1], elements[1] * ((elements[0] - means[at]) * inverse_stds[at])};
    }
  };
  __device__ Column column(int64_t column) const {
    return {groups, positions, column / width, means, inverse_stds};
  }
};

struct StoreParameterGradients {
  float *dshift, *dscale;
  __device__ void operator()(int64_t column, Sums sums) const {
    if (dshift != nullptr) dshift[column] = static_cast<float>(sums.first);
    dscale[column] = static_cast<float>(sums.second);
  }
};

}  // namespace

void group_norm_forward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                        ConstTensor shift, Tensor y, Tensor saved_mean, Tensor saved_inverse_std) {
  const Groups groups(spec, x.shape());
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(group_norm_kernel<T>, blocks_for(groups.count, 1), threads_of(groups), 0, compute_stream(exec),
           groups, spec.centered, spec.epsilon, x.data<T>(), scale.data<float>(), shift.data<float>(),
           y.data<T>(), saved_mean.data<float>(), saved_inverse_std.data<float>());
  });
}

void group_norm_backward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift, bool adds_to_dx) {
  const Groups groups(spec, x.shape());
  with_real(dx.dtype(), [&]<Real T>(T) {
    // First, because dx may overwrite dy.
    const ParameterTerms<T> terms{{{x.data<T>(), dy.data<T>()}, groups.channels},
                                  groups.groups,
                                  groups.positions,
                                  groups.width,
                                  saved_mean.data<float>(),
                                  saved_inverse_std.data<float>()};
    column_sums(exec, terms, StoreParameterGradients{dshift.data<float>(), dscale.data<float>()},
                x.shape()[0] * x.shape()[1], groups.channels);
    if (x.elements() == 0) return;
    launch(group_norm_input_gradient_kernel<T>, blocks_for(groups.count, 1), threads_of(groups), 0,
           compute_stream(exec), groups, spec.centered, x.data<T>(), scale.data<float>(),
           saved_mean.data<float>(), saved_inverse_std.data<float>(), dy.data<T>(), dx.data<T>(), adds_to_dx);
  });
}

}  // namespace lockstep::cuda
