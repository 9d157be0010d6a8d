#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// Which parameters training changes, and how fast. Patterns name parameters ("fc.weight"), layers ("fc") or
/// blocks ("layer1"), with * for any characters.
struct TuningSpec {
  std::vector<std::string> freeze;         ///< optimizer.freeze
  std::map<std::string, double> lr_scale;  ///< optimizer.lr_scale, by pattern
};

/// The graph with Node::tuning. A frozen parameter has no gradient and no state of the optimizer; a layer
/// that is frozen as a whole also keeps its running statistics, and normalizes with them. Where several
/// patterns of lr_scale match a parameter, the most specific one counts: that with the most characters
/// besides *. Throws Error(usage), and lists the names there are, for a pattern that matches nothing, for two
/// that are as specific and disagree, and when everything would be frozen.
Graph tuned(Graph graph, const TuningSpec& spec);

}  // namespace lockstep
