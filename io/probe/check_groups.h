#pragma once

#include "io/probe/inspect.h"

namespace lockstep {

/// Examines how training would use each group of the file that has data sets x and y: adds to result.groups,
/// and adds to result.problems what training would reject.
void check_groups(FileCheck& result);

}  // namespace lockstep
