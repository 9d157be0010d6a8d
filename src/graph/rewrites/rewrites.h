#pragma once

#include <string>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

// Rewrites transform a network into one that computes the same values with less time or memory. Parameters
// keep their names and values.

/// Saves passes over memory: additions, ReLUs and GELUs become part of the layer before them, where it can do
/// that (LayerTraits::applies_sum, applies_relu and applies_gelu); or a ReLU moves behind a max pooling,
/// where it has fewer elements. See Graph::Node::adds and activation.
Graph fuse(Graph graph);

/// Saves memory at the cost of another forward pass of some layers: their activations are recomputed for
/// backward instead of kept (Chen et al. 2016, "Training deep nets with sublinear memory cost"). blocks:
/// "none"; "blocks", for every block of the model; or names of layers or blocks, where * matches any
/// characters. A block consists of layers whose names have the same text before the last '.', as in
/// "layer1.0". Throws Error(usage) for a name that matches nothing, listing the known ones, and for "blocks"
/// in a model without blocks.
Graph recompute(Graph graph, const std::vector<std::string>& blocks);

/// For a loss that reads padded outputs (Objective::reads_padded()): a network that ends with the first
/// channels of the layer before, the others being padding, ends with that layer instead. This saves a copy of
/// the output and one of its gradient.
Graph with_padded_output(Graph graph);

/// The network in another precision: with activations of that type. Where those are narrower than float, the
/// input is converted, and every output stays f32: a layer that can (LayerTraits::writes_f32) writes it, and
/// the output of any other is converted. The gradients of outputs are narrow, too.
Graph in_precision(Graph graph, Precision precision);

/// Saves batch norms that take statistics a pass over memory: layers that can (LayerTraits::gives_sums) add
/// up what such a norm reads, where that is faster (Layer::gives_sums()).
Graph sum_up(Graph graph);

/// Applies the rewrites that keep the output, but for its rounding, in order. sums: sum_up() too.
Graph rewrite(Graph graph, const std::vector<std::string>& recomputed = {"none"},
              Precision precision = Precision::fp32, bool sums = false);

}  // namespace lockstep
