#pragma once

#include <string>
#include <utility>
#include <vector>

#include "launch/config/config.h"
#include "launch/report/report.h"
#include "src/train/run/memory.h"

namespace lockstep {

/// How a run would use memory in each precision, by its name.
using ForecastsByPrecision = std::vector<std::pair<std::string, MemoryForecast>>;

/// Prints what the memory of a rank is for, with a column for each precision, in at most 80 columns.
void print_memory(const ForecastsByPrecision& forecasts, const Config& config, Exec exec, int ranks);

/// The same of one precision for programs.
Json memory_json(const MemoryForecast& forecast, const Config& config, Exec exec, int ranks);

}  // namespace lockstep
