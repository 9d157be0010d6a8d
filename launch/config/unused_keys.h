#pragma once

#include <vector>

#include "io/probe/finding.h"
#include "launch/config/config.h"

namespace lockstep {

/// Keys that differ from their default and change nothing, because another choice leaves them aside
/// (Option::used_with). targets: what they are.
std::vector<Finding> unused_keys(const Config& config, TargetKind targets);

}  // namespace lockstep
