#pragma once

#include <cstdint>
#include <vector>

#include "src/graph/schedule.h"

namespace lockstep {

/// Where each tensor of a micro-batch lies in one arena, and from when to when it lives. Pure host code.
///
/// Time runs over the events of a schedule. A tensor's memory is given to others outside its lifetime. Layers
/// that allow it share: an elementwise layer writes over its input when nobody needs that input again, and a
/// reshape never moves data.
class Plan {
 public:
  /// One tensor in the arena. Several values may share one.
  struct Placement {
    int64_t offset = -1;  ///< bytes; -1: the tensor does not exist in this plan
    int64_t bytes = 0;
  };
  /// An event, and where what it touches lies.
  struct Step {
    Event event;
    bool runs = true;  ///< false for a reshape: its output is its input
    std::vector<Placement> inputs;
    Placement output, workspace;
    Placement output_sums, input_sums;  ///< forward and recompute only: see LayerContext
    std::vector<Placement> saved;       ///< forward and recompute write it, backward reads it
    std::vector<Placement> state_sums;  ///< recompute only: what forward has added up is not touched
    // backward only
    Placement output_gradient;
    std::vector<Placement> input_gradients;      ///< where the layer writes; -1: nobody reads it
    std::vector<Placement> parameter_gradients;  ///< -1: straight into the reduced buffer, or left out
    // add_gradient adds inputs[0] to output_gradient; add_parameter adds it to the parameter's slice of the
    // reduced buffer.
    /// Whether backward of the layer is complete with this event.
    bool completes_node = false;
  };

  /// The layers of `graph` have been prepared for micro-batches of n samples. training: plan backward too.
  Plan(const Graph& graph, int64_t n, bool training);

  const std::vector<Step>& steps() const { return steps_; }
  int64_t arena_bytes() const { return arena_bytes_; }
  /// Bytes if nothing were shared: what the planning saves is the difference.
  int64_t unshared_bytes() const { return unshared_bytes_; }
  /// As forward leaves it.
  const Placement& value(int v) const { return values_[static_cast<size_t>(v)]; }
  const Placement& gradient(int v) const { return gradients_[static_cast<size_t>(v)]; }

 private:
  std::vector<Step> steps_;
  std::vector<Placement> values_, gradients_;
  int64_t arena_bytes_ = 0, unshared_bytes_ = 0;
};

}  // namespace lockstep
