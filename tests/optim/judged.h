#pragma once

#include <bit>
#include <utility>
#include <vector>

#include "src/ops/step_guard.h"
#include "tests/support/backend.h"

namespace lockstep {

/// What a step is judged by beside its gradients, and what is written then, in the backend's memory.
class Judged {
 public:
  explicit Judged(Exec exec, const StepGuard& guard = {}, float loss = 1,
                  const std::vector<float>& statistics = {}, int32_t max_bad = 10)
      : max_bad_(max_bad),
        loss_(exec, {1}, {loss}),
        statistics_(exec, {static_cast<int64_t>(statistics.size())}, statistics),
        verdict_(exec, {StepVerdict::kFloats}),
        guard_(exec, {kGuardWords}) {
    set_guard(guard);
  }

  StepJudgement step() const {
    return {.loss = loss_.span().data(),
            .statistics = statistics_.span().data(),
            .statistic_count = static_cast<int64_t>(statistics_.span().size()),
            .max_bad = max_bad_,
            .verdict = reinterpret_cast<StepVerdict*>(verdict_.span().data()),
            .guard = reinterpret_cast<StepGuard*>(guard_.span().data())};
  }
  StepVerdict verdict() const {
    const std::vector<float> values = verdict_.values();
    return {values[0], values[1], values[2], values[3], values[4]};
  }
  StepGuard guard() const {
    const std::vector<int32_t> words = guard_.values();
    return {words[0], words[1], {std::bit_cast<float>(words[2]), words[3]}};
  }
  void set_guard(const StepGuard& guard) {
    guard_.set({guard.bad_in_a_row, guard.applies, std::bit_cast<int32_t>(guard.loss_scale.factor),
                guard.loss_scale.good_steps});
  }

 private:
  static constexpr int64_t kGuardWords = 4;
  static_assert(sizeof(StepGuard) == kGuardWords * sizeof(int32_t));
  int32_t max_bad_;
  test::Guarded<float> loss_, statistics_, verdict_;
  test::Guarded<int32_t> guard_;
};

}  // namespace lockstep
