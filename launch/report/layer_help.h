#pragma once

#include <string>

#include "launch/report/report.h"

namespace lockstep {

// Documentation of the layers of a model file, from the table of layer kinds.

/// As text of at most 80 columns.
std::string layer_help();
Json layer_json();

}  // namespace lockstep
