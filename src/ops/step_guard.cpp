#include "src/ops/step_guard.h"

#include <algorithm>
#include <cmath>

#include "src/device/with_cuda.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

void judge_step(Exec exec, const float* loss, std::span<const float> statistics, int32_t max_bad,
                StepVerdict* verdict, StepGuard* guard) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::judge_step(exec, loss, statistics, max_bad, verdict, guard);
  }
  const bool is_finite = std::isfinite(*loss) &&
                         std::ranges::all_of(statistics, [](float value) { return std::isfinite(value); });
  judge(is_finite, std::isfinite(verdict->gradient_norm), max_bad, *verdict, *guard);
}

void unscale(Exec exec, const StepGuard* guard, std::span<float> gradients) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::unscale(exec, guard, gradients);
  }
  const float factor = 1 / guard->loss_scale.factor;
  for (float& gradient : gradients) gradient *= factor;
}

}  // namespace lockstep
