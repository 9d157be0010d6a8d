#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/input/augment/color.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// One position's values, and how they are normalized.
struct Pixel {
  float* x;
  const float *scale, *zero;
  int64_t channels;
  float brightness, max;

  __device__ float clamped(float value) const { return max > 0.0f ? fminf(fmaxf(value, 0.0f), max) : value; }
  /// A value after the change of brightness.
  __device__ float bright(int64_t c) const {
    const float value = (x[c] - zero[c]) / scale[c];
    return brightness == 1.0f ? value : clamped(brightness * value);
  }
  __device__ float contrasted(int64_t c, float mean, float contrast) const {
    return contrast == 1.0f ? bright(c) : clamped(contrast * (bright(c) - mean) + mean);
  }
  /// The grey of three values, or the mean of any number.
  template <typename Value>
  __device__ float grey(Value value) const {
    if (channels == 3) return value(0) * 0.299f + value(1) * 0.587f + value(2) * 0.114f;
    float sum = 0.0f;
    for (int64_t c = 0; c < channels; ++c) sum += value(c);
    return sum / static_cast<float>(channels);
  }
};

/// One block a sample.
__global__ void adjust_color_kernel(float max, const ColorFactors* factors, const float* scale,
                                    const float* zero, float* x, int64_t samples, int64_t positions,
                                    int64_t channels) {
  wait_for_previous_kernel();
  __shared__ double shared[kBlock / 32];
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const ColorFactors own = factors[n];
    if (own.brightness == 1.0f && own.contrast == 1.0f && own.saturation == 1.0f) continue;
    const auto pixel = [&](int64_t p) {
      return Pixel{x + (n * positions + p) * channels, scale, zero, channels, own.brightness, max};
    };
    float mean = 0.0f;
    if (own.contrast != 1.0f) {
      LongSum sum;
      for (int64_t p = threadIdx.x; p < positions; p += blockDim.x) {
        const Pixel at = pixel(p);
        sum.add(at.grey([&](int64_t c) { return at.bright(c); }));
      }
      mean = static_cast<float>(block_reduce(sum.value(), Sum{}, shared) / static_cast<double>(positions));
    }
    for (int64_t p = threadIdx.x; p < positions; p += blockDim.x) {
      const Pixel at = pixel(p);
      const auto contrasted = [&](int64_t c) { return at.contrasted(c, mean, own.contrast); };
      const float grey = own.saturation == 1.0f ? 0.0f : at.grey(contrasted);
      for (int64_t c = 0; c < channels; ++c) {
        float value = contrasted(c);
        if (own.saturation != 1.0f) value = at.clamped(own.saturation * (value - grey) + grey);
        at.x[c] = value * scale[c] + zero[c];
      }
    }
  }
}

}  // namespace

void adjust_color(Exec exec, float max, ConstTensor factors, ConstTensor scale, ConstTensor zero, Tensor x) {
  const int64_t samples = x.shape()[0];
  launch(adjust_color_kernel, blocks_for(samples * kBlock, kBlock), kBlock, 0, compute_stream(exec), max,
         reinterpret_cast<const ColorFactors*>(factors.data<float>()), scale.data<float>(),
         zero.data<float>(), x.data<float>(), samples, x.shape()[1], scale.elements());
}

}  // namespace lockstep::cuda
