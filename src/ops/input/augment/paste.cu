#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/input/augment/paste.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__device__ float blended(float own, float mine, float other) {
  if (own <= 0.0f) return other;
  return own >= 1.0f ? mine : own * mine + (1.0f - own) * other;
}

__device__ int32_t blended(float own, int32_t mine, int32_t other) { return own >= 0.5f ? mine : other; }

/// One thread an element.
template <typename T>
__global__ void paste_kernel(const Patch* patches, const float* own, const T* x, T* y, int64_t height,
                             int64_t width, int64_t channels, int64_t sample_elements, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t sample = i / sample_elements, e = i % sample_elements;
    const Patch& patch = patches[sample];
    const int64_t at[3] = {e / channels / width / height, e / channels / width % height,
                           e / channels % width};
    bool is_inside = true;
    for (int a = 0; a < 3; ++a)
      is_inside = is_inside && at[a] >= patch.first[a] && at[a] < patch.first[a] + patch.extent[a];
    const T mine = x[i];
    if (!is_inside) {
      y[i] = mine;
      continue;
    }
    y[i] = blended(own[sample], mine, patch.partner < 0 ? T{0} : x[patch.partner * sample_elements + e]);
  }
}

template <typename T>
void run(Exec exec, const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y) {
  const int64_t n = y.elements();
  launch(paste_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
         reinterpret_cast<const Patch*>(patches.data<int64_t>()), own.data<float>(), x.data<T>(), y.data<T>(),
         spec.extents[1], spec.extents[2], spec.channels, n / own.elements(), n);
}

}  // namespace

void paste(Exec exec, const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y) {
  if (x.dtype() == DType::f32)
    run<float>(exec, spec, patches, own, x, y);
  else
    run<int32_t>(exec, spec, patches, own, x, y);
}

}  // namespace lockstep::cuda
