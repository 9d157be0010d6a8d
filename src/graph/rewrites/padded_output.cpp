#include <utility>

#include "src/graph/rewrites/rewrites.h"

namespace lockstep {

Graph with_padded_output(Graph graph) {
  const int before = graph.output() - 1;  // the value of the layer before the last one
  if (before < 1) return graph;
  auto& nodes = graph.nodes();
  const Graph::Node& last = nodes.back();
  if (!last.layer->traits().takes_first || last.inputs[0] != before || graph.readers(before) != 1)
    return graph;
  Graph::Node& padded = nodes[static_cast<size_t>(before) - 1];
  padded.loss_weight = last.loss_weight;
  padded.output_name = last.output_name;
  nodes.pop_back();
  return graph;
}

}  // namespace lockstep
