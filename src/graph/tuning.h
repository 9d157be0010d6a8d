#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// The parameters that training changes, and their learning rates. Patterns name parameters ("fc.weight"),
/// layers ("fc") or blocks ("layer1"); * matches any characters.
struct TuningSpec {
  std::vector<std::string> freeze;         ///< optimizer.freeze
  std::map<std::string, double> lr_scale;  ///< optimizer.lr_scale, by pattern
};

/// Sets Node::tuning. A frozen parameter has no gradient and no optimizer state; a layer that is completely
/// frozen also keeps its running statistics and normalizes with them. If several patterns of lr_scale match a
/// parameter, the most specific one applies: the one with the most characters besides *. Throws Error(usage)
/// that lists the known names for a pattern that matches nothing, for two equally specific patterns that
/// disagree, and if everything would be frozen.
Graph tuned(Graph graph, const TuningSpec& spec);

}  // namespace lockstep
