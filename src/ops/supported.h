#pragma once

#include <string>

#include "src/device/exec.h"
#include "src/tensor/precision.h"

namespace lockstep {

/// A sentence that says why a backend cannot compute in a precision, and what to use instead; "" if it can.
std::string why_unsupported(Exec exec, Precision precision);

/// Throws Error(usage) with that sentence.
void require_supported(Exec exec, Precision precision);

}  // namespace lockstep
