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
  const bool is_finite = std::isfinite(*loss) && std::isfinite(verdict->gradient_norm) &&
                         std::ranges::all_of(statistics, [](float value) { return std::isfinite(value); });
  verdict->is_bad = is_finite ? 0.0f : 1.0f;
  guard->judge(!is_finite, max_bad);
}

}  // namespace lockstep
