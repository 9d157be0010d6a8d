#pragma once

#include <string>

#include "launch/report/report.h"

namespace lockstep {

// What a model file may hold, from the table of layer kinds.

/// As text of at most 80 columns.
std::string layer_help();
Json layer_json();

}  // namespace lockstep
