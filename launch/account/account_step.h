#pragma once

#include "launch/account/ceilings.h"
#include "launch/report/report.h"
#include "src/train/run/setup.h"

namespace lockstep {

struct AccountOptions {
  Ceilings ceilings;
  bool all_blocks = false;  ///< emulate every block of every kernel
};

/// Throws Error(usage) in a build that cannot count: all but the preset `account`.
void require_account_build();

/// Runs a captured step on the emulated GPU, and prints what it does after the facts of `report`.
void account_step(TrainingSetup& setup, const Batch& batch, double lr, const AccountOptions& options,
                  Report& report, bool json);

}  // namespace lockstep
