#pragma once

#include <string>
#include <vector>

#include "src/train/run/options.h"

namespace lockstep {

/// "auto", "cpu", "cuda": the names of DeviceChoice, in its order.
const std::vector<std::string>& device_names();
/// One of these names.
DeviceChoice device_named(const std::string& name);

/// "fp32": the names of Precision, in its order.
const std::vector<std::string>& precision_names();

}  // namespace lockstep
