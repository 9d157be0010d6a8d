#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__device__ float difference(uint8_t value, float pivot) { return static_cast<float>(value) - pivot; }
__device__ float difference(f16 value, float pivot) { return static_cast<float>(value) - pivot; }
__device__ float difference(float value, float pivot) { return value - pivot; }
__device__ float difference(double value, float pivot) {
  return static_cast<float>(value - static_cast<double>(pivot));
}

/// Index has 32 bits where that suffices, because a 64-bit division costs more than everything else.
template <typename T, typename Index>
__global__ void preprocess_kernel(const T* x, const float* pivot, const float* scale, const float* shift,
                                  float* y, Index samples, Index positions, Index channels,
                                  bool channels_first) {
  wait_for_previous_kernel();
  const Index n = samples * positions * channels;
  const Index stride = static_cast<Index>(gridDim.x) * blockDim.x;
  for (Index i = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Index channel = i % channels;
    Index source = i;
    if (channels_first) {
      const Index position = i / channels % positions, sample = i / channels / positions;
      source = (sample * channels + channel) * positions + position;
    }
    y[i] = difference(x[source], pivot[channel]) * scale[channel] + shift[channel];
  }
}

template <typename T>
void run(Exec exec, const PreprocessSpec& spec, const T* x, ConstTensor pivot, ConstTensor scale,
         ConstTensor shift, Tensor y) {
  const int64_t n = y.elements();
  const int64_t channels = scale.elements();
  const int64_t samples = y.shape()[0];
  const int64_t positions = n / samples / channels;
  const auto enqueue = [&]<typename Index>(Index) {
    launch(preprocess_kernel<T, Index>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), x,
           pivot.data<float>(), scale.data<float>(), shift.data<float>(), y.data<float>(), samples, positions,
           channels, spec.channels_first);
  };
  // Half the range, so that adding the stride to the last index cannot wrap around.
  if (n < int64_t{1} << 31)
    enqueue(uint32_t{});
  else
    enqueue(uint64_t{});
}

}  // namespace

void preprocess(Exec exec, const PreprocessSpec& spec, ConstTensor x, ConstTensor pivot, ConstTensor scale,
                ConstTensor shift, Tensor y) {
  if (y.elements() == 0) return;
  switch (x.dtype()) {
    case DType::u8:
      return run(exec, spec, x.data<uint8_t>(), pivot, scale, shift, y);
    case DType::f16:
      return run(exec, spec, x.data<f16>(), pivot, scale, shift, y);
    case DType::f32:
      return run(exec, spec, x.data<float>(), pivot, scale, shift, y);
    case DType::f64:
      return run(exec, spec, x.data<double>(), pivot, scale, shift, y);
    default:
      INVARIANT(false, "preprocess does not read {}", to_string(x.dtype()));
  }
}

}  // namespace lockstep::cuda
