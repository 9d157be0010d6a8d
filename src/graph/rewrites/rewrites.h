#pragma once

#include <string>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

// Rewrites turn a network into one that computes the same numbers with less time or memory. Parameters keep
// their names and values.

/// Fewer passes over memory: a ReLU becomes part of the convolution or linear layer before it, and moves
/// behind a max pooling, where there is less to do. The layers do not know: see Graph::Node::relu.
Graph fuse_relus(Graph graph);

/// Less memory for one more forward of some layers: activations are not kept for backward, but computed again
/// (Chen et al. 2016, "Training deep nets with sublinear memory cost"). blocks: "none"; "blocks", every block
/// of the model; or names of layers or blocks, with * for anything. A block is what the layers have in common
/// in front of the last '.' of their names, as in "layer1.0". Throws Error(usage) for a name that fits
/// nothing, or a model without blocks, and lists what there is.
Graph recompute(Graph graph, const std::vector<std::string>& blocks);

/// All of them, in their order.
Graph rewrite(Graph graph, const std::vector<std::string>& recomputed = {"none"});

}  // namespace lockstep
