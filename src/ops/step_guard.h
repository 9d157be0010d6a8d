#pragma once

#include <cstdint>

#include "src/core/host_device.h"

namespace lockstep {

/// Dynamic scaling of the loss (Micikevicius et al. 2018, "Mixed precision training", section 3.2): gradients
/// are computed times a factor that keeps small ones in the range of fp16. It is halved when they overflow,
/// and doubled after many steps without that. Powers of two, so that scaling rounds nothing.
struct LossScale {
  static constexpr float kInitial = 0x1p16f, kMin = 1.0f, kMax = 0x1p24f;
  static constexpr int32_t kGrowthSteps = 2000;

  float factor = 0;        ///< 0: the loss is not scaled
  int32_t good_steps = 0;  ///< since the factor changed

  /// Whether gradients that are not finite may be so because of the factor.
  LOCKSTEP_HOST_DEVICE bool may_overflow() const { return factor > kMin; }
  /// What undoes it: a factor for gradients.
  LOCKSTEP_HOST_DEVICE float inverse() const { return factor == 0 ? 1.0f : 1.0f / factor; }
  LOCKSTEP_HOST_DEVICE void after_step(bool overflowed) {
    if (factor == 0) return;
    ++good_steps;
    if (overflowed || good_steps == kGrowthSteps) {
      const float next = overflowed ? factor / 2 : factor * 2;
      factor = next < kMin ? kMin : next > kMax ? kMax : next;
      good_steps = 0;
    }
  }
};

/// Whether a step may change the model. Written and read in the memory of the backend, so that a captured
/// step decides without the host.
struct StepGuard {
  int32_t bad_in_a_row = 0;  ///< consecutive non-finite steps, up to the newest, without overflows
  int32_t applies = 1;       ///< whether the newest step changes the model: 0 or 1
  LossScale loss_scale = {};

  /// A bad step does not change the model. After `max_bad` of them in a row no later step does either, so
  /// that the model stays as it was before the first of them. Gradients that overflowed, as a smaller scale
  /// of the loss may prevent, do not count as bad, and do not change the model either.
  LOCKSTEP_HOST_DEVICE void judge(bool is_bad, bool overflowed, int32_t max_bad) {
    if (bad_in_a_row >= max_bad) {
      applies = 0;
      return;
    }
    if (!overflowed) bad_in_a_row = is_bad ? bad_in_a_row + 1 : 0;
    applies = bad_in_a_row == 0 && !overflowed ? 1 : 0;
    loss_scale.after_step(overflowed);
  }
};

/// What the host reads of it.
struct StepVerdict {
  static constexpr int kFloats = 5;
  float gradient_norm = 0;
  float is_bad = 0;      ///< 1 or 0
  float overflowed = 0;  ///< 1 or 0; then it is not bad
  float loss_scale = 0;  ///< LossScale after the step
  float good_steps = 0;
};

/// Writes a verdict, beside its norm, and its consequence. values_finite: loss and statistics; norm_finite:
/// of the gradients.
LOCKSTEP_HOST_DEVICE inline void judge(bool values_finite, bool norm_finite, int32_t max_bad,
                                       StepVerdict& verdict, StepGuard& guard) {
  const bool overflowed = values_finite && !norm_finite && guard.loss_scale.may_overflow();
  const bool is_bad = !overflowed && !(values_finite && norm_finite);
  guard.judge(is_bad, overflowed, max_bad);
  verdict.is_bad = is_bad ? 1.0f : 0.0f;
  verdict.overflowed = overflowed ? 1.0f : 0.0f;
  verdict.loss_scale = guard.loss_scale.factor;
  verdict.good_steps = static_cast<float>(guard.loss_scale.good_steps);
}

/// What a step is judged by beside its gradients, all-reduced, so that every rank decides alike; and what is
/// written then. All in the memory of the backend. It is bad if the loss, the gradients' norm or one of the
/// statistics is not finite. If only the norm is not, and the loss is scaled by more than 1, the gradients
/// have overflowed.
struct StepJudgement {
  const float* loss = nullptr;        ///< (1)
  const float* statistics = nullptr;  ///< (statistic_count)
  int64_t statistic_count = 0;
  int32_t max_bad = 1;  ///< see StepGuard::judge
  StepVerdict* verdict = nullptr;
  StepGuard* guard = nullptr;
};

}  // namespace lockstep
