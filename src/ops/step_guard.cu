#include "src/ops/step_guard.h"

#include "src/device/block_reduce.h"
#include "src/device/launch.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kThreads = 256;

/// One block, because there are few statistics.
__global__ void judge_kernel(const float* loss, const float* statistics, int64_t count, int32_t max_bad,
                             StepVerdict* verdict, StepGuard* guard) {
  __shared__ float shared[kThreads / 32];
  float is_bad = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads)
    if (!isfinite(statistics[i])) is_bad = 1;
  is_bad = block_reduce(is_bad, Maximum{}, shared);
  if (threadIdx.x != 0) return;
  judge(is_bad == 0 && isfinite(*loss), isfinite(verdict->gradient_norm), max_bad, *verdict, *guard);
}

__global__ void unscale_kernel(const StepGuard* guard, float* gradients, int64_t count) {
  const float factor = 1.0f / guard->loss_scale.factor;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride)
    gradients[i] *= factor;
}

}  // namespace

void judge_step(Exec exec, const float* loss, std::span<const float> statistics, int32_t max_bad,
                StepVerdict* verdict, StepGuard* guard) {
  launch(judge_kernel, 1, kThreads, 0, compute_stream(exec), loss, statistics.data(),
         static_cast<int64_t>(statistics.size()), max_bad, verdict, guard);
}

void unscale(Exec exec, const StepGuard* guard, std::span<float> gradients) {
  const auto count = static_cast<int64_t>(gradients.size());
  if (count == 0) return;
  launch(unscale_kernel, blocks_for(count, kThreads), kThreads, 0, compute_stream(exec), guard,
         gradients.data(), count);
}

}  // namespace lockstep::cuda
