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
  if (!isfinite(*loss) || !isfinite(verdict->gradient_norm)) is_bad = 1;
  verdict->is_bad = is_bad;
  guard->judge(is_bad != 0, max_bad);
}

}  // namespace

void judge_step(Exec exec, const float* loss, std::span<const float> statistics, int32_t max_bad,
                StepVerdict* verdict, StepGuard* guard) {
  launch(judge_kernel, 1, kThreads, 0, compute_stream(exec), loss, statistics.data(),
         static_cast<int64_t>(statistics.size()), max_bad, verdict, guard);
}

}  // namespace lockstep::cuda
