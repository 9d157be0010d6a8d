#include "src/graph/rewrites/rewrites.h"

namespace lockstep {

Graph sum_up(Graph graph) {
  std::vector<Graph::Node>& nodes = graph.nodes();
  for (int i = 0; i < graph.output(); ++i) {
    const Graph::Node& norm = nodes[static_cast<size_t>(i)];
    // A frozen norm takes no statistics.
    if (!norm.layer->traits().takes_sums || norm.inputs[0] == 0 || graph.frozen(i)) continue;
    Graph::Node& summed = nodes[static_cast<size_t>(norm.inputs[0]) - 1];
    if (summed.layer->traits().gives_sums && !summed.adds && !summed.activation) summed.sums = true;
  }
  return graph;
}

}  // namespace lockstep
