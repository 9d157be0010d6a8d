#pragma once

#include <string>

#include "src/tensor/shape.h"

namespace lockstep {

/// "32,32,3" -> (32, 32, 3). Throws Error(usage) naming the option for anything but one to five sizes.
Shape parse_sample_shape(const std::string& option, const std::string& text);

}  // namespace lockstep
