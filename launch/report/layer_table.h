#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/graph/graph.h"

namespace lockstep {

/// A row of the table of a network: one layer, or the layers of a block together.
struct LayerRow {
  std::string name = {};
  Shape output = {};  ///< of a sample; of a block's last layer
  int64_t layers = 1;
  int64_t parameters = 0;        ///< a parameter that several layers use counts for the first
  int64_t flops = 0;             ///< see Layer::flops()
  int64_t activation_bytes = 0;  ///< of outputs that have memory of their own, for one micro-batch
};

/// The layers of a network as its model defines them, for micro-batches of so many samples.
std::vector<LayerRow> layer_rows(const Graph& graph, int64_t micro_batch);

/// Sums up the layers of blocks: those whose names, "layer3.0.conv1", have the same first words between dots.
/// Of the numbers of words for which at most max_rows remain, it takes the largest, but at least one. A group
/// is in the place of its first layer.
std::vector<LayerRow> grouped(const std::vector<LayerRow>& rows, size_t max_rows);

/// The name with "..." in the place of its middle if it is longer than `width`, which is at least 8.
std::string shortened(const std::string& name, size_t width);

/// Prints the table with its totals in at most 80 columns.
void print_layers(const std::vector<LayerRow>& rows);

}  // namespace lockstep
