#include "src/core/rng.h"
#include "src/device/elementwise_kernels.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// A thread handles as many adjacent elements of a sample as 16 bytes hold. Each four words that it draws
/// decide four of them. in_packs: they are read and written at once, and divide a sample. added may be null.
template <Real T>
__global__ void dropout_kernel(const MicroBatchInfo* info, float rate, uint64_t key,
                               const int64_t* sample_index, const T* x, const T* added, T* y, int64_t samples,
                               int64_t elements, bool in_packs) {
  wait_for_previous_kernel();
  constexpr int kCount = Pack<T>::kCount;
  const int64_t packs = (elements + kCount - 1) / kCount;
  const uint64_t step = static_cast<uint64_t>(info->step);
  const float scale = 1.0f / (1.0f - rate);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * packs; i += stride) {
    const int64_t sample = i / packs, first = i % packs * kCount;
    const int64_t at = sample * elements + first;
    const int count = static_cast<int>(min(elements - first, int64_t{kCount}));
    const auto read = [&](const T* array) {
      Pack<T> values;
      if (in_packs)
        values = *reinterpret_cast<const Pack<T>*>(array + at);
      else
        for (int k = 0; k < kCount; ++k) values.values[k] = k < count ? array[at + k] : T(0.0f);
      return values;
    };
    Pack<T> result = read(x);
    Pack<T> sum;
    if (added != nullptr) sum = read(added);
    for (int four = 0; four < kCount; four += 4) {
      const Random4 random = philox(key, static_cast<uint64_t>(sample_index[sample]),
                                    (step << 32) + static_cast<uint64_t>(first + four) / 4);
      for (int word = 0; word < 4; ++word) {
        T& value = result.values[four + word];
        const float kept = uniform(random.word[word]) >= rate ? value * scale : 0.0f;
        value = T(added == nullptr ? kept : kept + sum.values[four + word]);
      }
    }
    if (in_packs)
      *reinterpret_cast<Pack<T>*>(y + at) = result;
    else
      for (int k = 0; k < count; ++k) y[at + k] = result.values[k];
  }
}

}  // namespace

void dropout(Exec exec, const MicroBatchInfo* info, const DropoutSpec& spec, ConstTensor sample_index,
             ConstTensor x, Tensor y, ConstTensor added) {
  if (x.elements() == 0) return;
  const int64_t samples = x.shape()[0];
  const int64_t elements = x.elements() / samples;
  const bool aligned =
      is_vector_aligned(x.raw()) && is_vector_aligned(added.raw()) && is_vector_aligned(y.raw());
  with_real(y.dtype(), [&]<Real T>(T) {
    constexpr int kCount = Pack<T>::kCount;
    launch(dropout_kernel<T>, blocks_for(samples * ((elements + kCount - 1) / kCount), kBlock), kBlock, 0,
           compute_stream(exec), info, spec.rate, spec.seed ^ spec.layer, sample_index.data<int64_t>(),
           x.data<T>(), added.data<T>(), y.data<T>(), samples, elements, aligned && elements % kCount == 0);
  });
}

}  // namespace lockstep::cuda
