#pragma once

#include "io/probe/inspect.h"

namespace lockstep {

/// For each group of the file with data sets x and y, what training on them would mean: adds to
/// result.groups, and to result.problems what training would refuse.
void check_groups(FileCheck& result);

}  // namespace lockstep
