#pragma once

#include <string>

#include "src/train/observe/diagnosis.h"

namespace lockstep {

/// A non-finite step, after which the run ends.
struct Divergence {
  const StepMetrics& metrics;
  double lr = 0;
  int64_t in_a_row = 1;      ///< non-finite steps up to this one
  bool skips_steps = false;  ///< whether those before it were skipped
  std::string run_dir;
};

/// Collective. Looks for the cause, writes RUN_DIR/diagnosis.json on rank 0, and throws Error(diverged) with
/// the findings and a remedy. The weights must still be those before the step: see StepGuard.
[[noreturn]] void fail_diverged(const DiagnosisParts& parts, const Divergence& divergence);

}  // namespace lockstep
