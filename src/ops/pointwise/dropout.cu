#include "src/core/rng.h"
#include "src/device/launch.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// One thread draws the four words that decide four adjacent elements of a sample.
template <Real T>
__global__ void dropout_kernel(const MicroBatchInfo* info, float rate, uint64_t key,
                               const int64_t* sample_index, const T* x, T* y, int64_t samples,
                               int64_t elements) {
  const int64_t groups = (elements + 3) / 4;
  const uint64_t step = static_cast<uint64_t>(info->step);
  const float scale = 1.0f / (1.0f - rate);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * groups; i += stride) {
    const int64_t sample = i / groups, group = i % groups;
    const Random4 random =
        philox(key, static_cast<uint64_t>(sample_index[sample]), (step << 32) + static_cast<uint64_t>(group));
    for (int word = 0; word < 4; ++word) {
      const int64_t e = 4 * group + word;
      if (e >= elements) break;
      const bool survives = uniform(random.word[word]) >= rate;
      y[sample * elements + e] = T(survives ? x[sample * elements + e] * scale : 0.0f);
    }
  }
}

}  // namespace

void dropout(Exec exec, const MicroBatchInfo* info, const DropoutSpec& spec, ConstTensor sample_index,
             ConstTensor x, Tensor y) {
  if (x.elements() == 0) return;
  const int64_t samples = x.shape()[0];
  const int64_t elements = x.elements() / samples;
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(dropout_kernel<T>, blocks_for(samples * ((elements + 3) / 4), kBlock), kBlock, 0,
           compute_stream(exec), info, spec.rate, spec.seed ^ spec.layer, sample_index.data<int64_t>(),
           x.data<T>(), y.data<T>(), samples, elements);
  });
}

}  // namespace lockstep::cuda
