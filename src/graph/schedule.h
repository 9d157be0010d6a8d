#pragma once

#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// One thing that a network does with a micro-batch.
struct Event {
  enum class Kind {
    forward,
    loss,       ///< the caller turns output `index` of Graph::outputs() into its gradient
    recompute,  ///< forward once more, in the middle of backward: see recompute()
    backward,
    add_gradient,   ///< adds what backward of the same layer has left for input `index` to that value's
                    ///< gradient
    add_parameter,  ///< adds what it has left for parameter `index`, which another layer has written to
                    ///< before
  };
  Kind kind = Kind::forward;
  int node = 0;
  int index = -1;  ///< loss: which output; add_*: which input or parameter
};

/// What a micro-batch runs through, in the order of time. training: with loss and backward; otherwise only
/// the layers that the main output needs.
std::vector<Event> schedule(const Graph& graph, bool training);

/// Which values need a gradient: those that a layer with parameters which are trained feeds.
std::vector<bool> values_with_gradient(const Graph& graph);

/// Which values are computed: in training all, otherwise those that the main output needs.
std::vector<bool> computed_values(const Graph& graph, bool training);

}  // namespace lockstep
