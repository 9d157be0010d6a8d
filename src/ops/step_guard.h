#pragma once

#include <cstdint>
#include <span>

#include "src/core/host_device.h"
#include "src/device/exec.h"

namespace lockstep {

/// Whether a step may change a model. Judged and obeyed in the memory of the backend, so that a captured step
/// needs no host to decide.
struct StepGuard {
  int32_t bad_in_a_row = 0;  ///< steps so far that were not finite, up to the newest
  int32_t applies = 1;       ///< whether the newest step changes the model: 0 or 1

  /// The rule: a bad step changes nothing, and after `most` of them in a row nothing does any more, so that
  /// the model stays as the first of them found it.
  LOCKSTEP_HOST_DEVICE void judge(bool is_bad, int32_t most) {
    if (bad_in_a_row < most) bad_in_a_row = is_bad ? bad_in_a_row + 1 : 0;
    applies = bad_in_a_row == 0 ? 1 : 0;
  }
};

/// What the host wants to know of it.
struct StepVerdict {
  static constexpr int kFloats = 2;
  float gradient_norm = 0;
  float is_bad = 0;  ///< 1 or 0
};

/// Judges a step by what was summed over all ranks, and therefore alike on each: it is bad when *loss, the
/// norm of the gradients (1) or one of the statistics is not finite. verdict (kFloats, the norm given in its
/// first) gets the rest. All in the memory of the backend. Enqueues; does not wait.
void judge_step(Exec exec, const float* loss, std::span<const float> statistics, int32_t most,
                StepVerdict* verdict, StepGuard* guard);

}  // namespace lockstep
