#pragma once

#include <vector>

#include "io/probe/finding.h"
#include "launch/config/config.h"

namespace lockstep {

/// Keys that differ from their default but have no effect because of another key or the targets
/// (Option::used_with). targets: their kind.
std::vector<Finding> unused_keys(const Config& config, TargetKind targets);

}  // namespace lockstep
