#include "src/core/rng.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/input/augment/noise.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__device__ float normal(uint32_t first, uint32_t second) {
  // The logarithm of u = (first + 1) / 2^32, near 1 from the difference to 1, which float holds exactly.
  const float log_u = first < 0x80000000u ? logf((static_cast<float>(first) + 1.0f) * 0x1p-32f)
                                          : log1pf(-static_cast<float>(~first) * 0x1p-32f);
  return sqrtf(-2.0f * log_u) * cosf(6.283185307f * (static_cast<float>(second) * 0x1p-32f));
}

/// One thread draws the words of two adjacent elements of a sample.
__global__ void add_noise_kernel(const NoiseKey* keys, const float* deviations, float* x, int64_t samples,
                                 int64_t elements) {
  wait_for_previous_kernel();
  const int64_t pairs = (elements + 1) / 2;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * pairs; i += stride) {
    const int64_t sample = i / pairs, pair = i % pairs;
    const float deviation = deviations[sample];
    if (deviation == 0.0f) continue;
    const Random4 random = philox(keys[sample].key, keys[sample].sample, static_cast<uint64_t>(pair));
    float* const at = x + sample * elements + 2 * pair;
    at[0] += deviation * normal(random.word[0], random.word[1]);
    if (2 * pair + 1 < elements) at[1] += deviation * normal(random.word[2], random.word[3]);
  }
}

}  // namespace

void add_noise(Exec exec, ConstTensor keys, ConstTensor deviations, Tensor x) {
  const int64_t samples = x.shape()[0], elements = x.elements() / samples;
  launch(add_noise_kernel, blocks_for(samples * ((elements + 1) / 2), kBlock), kBlock, 0,
         compute_stream(exec), reinterpret_cast<const NoiseKey*>(keys.data<int64_t>()),
         deviations.data<float>(), x.data<float>(), samples, elements);
}

}  // namespace lockstep::cuda
