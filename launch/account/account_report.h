#pragma once

#include "launch/account/step_account.h"
#include "launch/report/report.h"

namespace lockstep {

/// Prints the account of a step of `samples` samples: tables for people after the facts of `report`, or all
/// of it as JSON.
void print_account(Report& report, const StepAccount& account, int64_t samples, bool json);

}  // namespace lockstep
