#pragma once

#include <string>

#include "launch/scaling/scaling_report.h"

namespace lockstep {

/// The result as an SVG picture. Left: speed-up over the ranks, both on logarithmic axes, measured with its
/// spread, predicted dashed. Right: where a step's time goes, as stacked bars.
std::string scaling_plot(const ScalingResult& result);

}  // namespace lockstep
