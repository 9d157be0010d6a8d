#pragma once

#include <string>

#include "launch/scaling/scaling_report.h"

namespace lockstep {

/// The result as an SVG plot. Left: speed-up over ranks on logarithmic axes, measured with spread, predicted
/// dashed. Right: the parts of a step's time, as stacked bars.
std::string scaling_plot(const ScalingResult& result);

}  // namespace lockstep
