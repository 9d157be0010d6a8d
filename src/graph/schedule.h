#pragma once

#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// One operation of a network on a micro-batch.
struct Event {
  enum class Kind {
    forward,
    loss,       ///< the caller turns output `index` of Graph::outputs() into its gradient
    recompute,  ///< repeats forward during backward: see recompute()
    backward,
    add_gradient,   ///< adds what backward of the same layer has left for input `index` to that value's
                    ///< gradient, where the layer does not itself
    add_parameter,  ///< adds what it has left for parameter `index`, which another layer has written to
                    ///< before
  };
  Kind kind = Kind::forward;
  int node = 0;
  int index = -1;  ///< loss: which output; add_*: which input or parameter
};

/// The events of a micro-batch in order of execution. training: with loss and backward; otherwise only the
/// layers that the main output needs.
std::vector<Event> schedule(const Graph& graph, bool training);

/// The values that need a gradient: those that depend on a trained parameter.
std::vector<bool> values_with_gradient(const Graph& graph);

/// The layers whose backward adds to the gradient of their first input, because a later layer has left one
/// there, and they can.
std::vector<bool> layers_that_add_to_gradient(const Graph& graph);

/// The values that are computed: in training all, otherwise those that the main output needs.
std::vector<bool> computed_values(const Graph& graph, bool training);

}  // namespace lockstep
