#pragma once

#include <cstdint>
#include <span>

#include "src/core/host_device.h"
#include "src/device/exec.h"

namespace lockstep {

/// Whether a step may change the model. Written and read in the memory of the backend, so that a captured
/// step decides without the host.
struct StepGuard {
  int32_t bad_in_a_row = 0;  ///< consecutive non-finite steps, up to the newest
  int32_t applies = 1;       ///< whether the newest step changes the model: 0 or 1

  /// A bad step does not change the model. After `max_bad` of them in a row no later step does either, so
  /// that the model stays as it was before the first of them.
  LOCKSTEP_HOST_DEVICE void judge(bool is_bad, int32_t max_bad) {
    if (bad_in_a_row < max_bad) bad_in_a_row = is_bad ? bad_in_a_row + 1 : 0;
    applies = bad_in_a_row == 0 ? 1 : 0;
  }
};

/// What the host reads of it.
struct StepVerdict {
  static constexpr int kFloats = 2;
  float gradient_norm = 0;
  float is_bad = 0;  ///< 1 or 0
};

/// Judges a step by all-reduced values, so that every rank decides alike: it is bad if *loss,
/// verdict->gradient_norm, which the caller has written, or one of the statistics is not finite. Writes the
/// rest of verdict. All in the memory of the backend. Enqueues; does not wait.
void judge_step(Exec exec, const float* loss, std::span<const float> statistics, int32_t max_bad,
                StepVerdict* verdict, StepGuard* guard);

}  // namespace lockstep
