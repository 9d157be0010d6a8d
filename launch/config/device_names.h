#pragma once

#include <string>
#include <vector>

#include "src/train/run/options.h"

namespace lockstep {

/// "auto", "cpu", "cuda": the names of DeviceChoice, in its order.
const std::vector<std::string>& device_names();
/// One of these names.
DeviceChoice device_named(const std::string& name);

}  // namespace lockstep
