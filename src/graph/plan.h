#pragma once

#include <cstdint>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// Where each tensor of a micro-batch lies in one arena, and from when to when it lives. Pure host code.
///
/// Time runs over the layers: forward of layer i is moment i; the loss is moment L = number of layers;
/// backward of layer i is moment 2L - i. A tensor's memory is given to others outside its moments. Layers
/// that allow it share: an elementwise layer writes over its input when nobody needs that input again, and a
/// reshape never moves data.
class Plan {
 public:
  /// One tensor in the arena. Several values may share one.
  struct Placement {
    int64_t offset = -1;  ///< bytes; -1: the tensor does not exist in this plan
    int64_t bytes = 0;
  };
  struct NodePlan {
    std::vector<Placement> saved;
    Placement forward_workspace, backward_workspace;
    bool runs_forward = true;   ///< false for reshapes
    bool runs_backward = true;  ///< false in inference and where nobody needs a gradient
    bool needs_input_gradient = false;
    /// For each input: where backward writes its gradient. When `accumulate` is set, the node writes into
    /// `scratch`, which is then added to the gradient that an earlier reader has written.
    struct InputGradient {
      bool wanted = false;
      bool accumulate = false;
      Placement scratch;
    };
    std::vector<InputGradient> input_gradients;
  };

  /// The layers of `graph` have been prepared for micro-batches of n samples. training: plan backward too.
  Plan(const Graph& graph, int64_t n, bool training);

  int64_t arena_bytes() const { return arena_bytes_; }
  /// Bytes if nothing were shared: what the planning saves is the difference.
  int64_t unshared_bytes() const { return unshared_bytes_; }
  const Placement& value(int v) const { return values_[static_cast<size_t>(v)]; }
  const Placement& gradient(int v) const { return gradients_[static_cast<size_t>(v)]; }
  const NodePlan& node(int i) const { return nodes_[static_cast<size_t>(i)]; }

 private:
  std::vector<Placement> values_, gradients_;
  std::vector<NodePlan> nodes_;
  int64_t arena_bytes_ = 0, unshared_bytes_ = 0;
};

/// Which values need a gradient: those that a layer with parameters feeds.
std::vector<bool> values_with_gradient(const Graph& graph);

/// Places intervals [first, last] of `bytes` so that those that overlap in time do not overlap in memory:
/// largest first, each at the lowest offset that fits. Returns the offsets, multiples of 256, and the total.
struct Interval {
  int first = 0, last = 0;
  int64_t bytes = 0;
};
std::vector<int64_t> place_intervals(const std::vector<Interval>& intervals, int64_t& total);

}  // namespace lockstep
