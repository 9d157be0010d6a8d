#include <algorithm>
#include <utility>

#include "src/graph/graph.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

namespace {

bool is_relu(const Graph::Node& node) { return node.layer->kind() == to_string(Activation::relu); }

/// The position of the one layer that reads this value, or -1 when there are several or it is the output.
int only_reader(const Graph& graph, int value) {
  if (graph.readers(value) != 1) return -1;
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Graph::Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
  });
  return found == nodes.end() ? -1 : static_cast<int>(found - nodes.begin());
}

/// relu -> pool becomes pool -> relu. The two exchange their places in the list, so that every other layer
/// still reads the value it read before.
void move_relus_behind_pools(Graph& graph) {
  auto& nodes = graph.nodes();
  for (int i = 0; i < graph.output(); ++i) {
    if (!is_relu(nodes[static_cast<size_t>(i)])) continue;
    const int reader = only_reader(graph, i + 1);
    if (reader < 0 || !nodes[static_cast<size_t>(reader)].layer->commutes_with_relu()) continue;
    Graph::Node& relu = nodes[static_cast<size_t>(i)];
    Graph::Node& pool = nodes[static_cast<size_t>(reader)];
    std::swap(relu.name, pool.name);
    std::swap(relu.layer, pool.layer);
  }
}

/// The same graph without the ReLUs that the layer before them computes as well.
Graph fold_relus(Graph graph) {
  Graph folded(graph.shape(0));
  std::vector<int> renamed = {0};  // by value of `graph`: the value of `folded` that holds it
  for (Graph::Node& node : graph.nodes()) {
    std::vector<int> inputs;
    for (const int value : node.inputs) inputs.push_back(renamed[static_cast<size_t>(value)]);
    const int source = node.inputs.front();
    // A layer of `folded` makes one value of `graph`, so the readers there are the readers here.
    if (is_relu(node) && source > 0 && graph.readers(source) == 1 &&
        folded.nodes()[static_cast<size_t>(inputs.front() - 1)].layer->fuse_relu()) {
      renamed.push_back(inputs.front());
      continue;
    }
    renamed.push_back(folded.add(node.name, std::move(node.layer), std::move(inputs)));
  }
  return folded;
}

}  // namespace

Graph fuse(Graph graph) {
  move_relus_behind_pools(graph);
  // The exchange above leaves the shapes of the exchanged values behind; adding every layer again infers
  // them.
  return fold_relus(std::move(graph));
}

}  // namespace lockstep
