#include <algorithm>
#include <utility>

#include "src/graph/rewrites/rewrites.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

namespace {

bool is_relu(const Graph::Node& node) { return node.layer->kind() == to_string(Activation::relu); }

/// The index of the only layer that reads this value, or -1 if there are several or it is an output.
int only_reader(const Graph& graph, int value) {
  if (graph.readers(value) != 1) return -1;
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Graph::Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
  });
  return found == nodes.end() ? -1 : static_cast<int>(found - nodes.begin());
}

/// relu -> pool becomes pool -> relu. The two swap places in the list, so that all other layers read the same
/// values as before.
void move_relus_behind_pools(Graph& graph) {
  auto& nodes = graph.nodes();
  for (int i = 0; i < graph.output(); ++i) {
    if (!is_relu(nodes[static_cast<size_t>(i)])) continue;
    const int reader = only_reader(graph, i + 1);
    if (reader < 0 || !nodes[static_cast<size_t>(reader)].layer->traits().commutes_with_relu) continue;
    Graph::Node& relu = nodes[static_cast<size_t>(i)];
    Graph::Node& pool = nodes[static_cast<size_t>(reader)];
    std::swap(relu.name, pool.name);
    std::swap(relu.layer, pool.layer);
  }
}

/// The same graph without ReLUs that the previous layer can apply to its output.
Graph fold_relus(Graph graph) {
  std::vector<int> readers;
  for (int value = 0; value <= graph.output(); ++value) readers.push_back(graph.readers(value));
  Graph folded(graph.value(0), graph.seed(), graph.precision());
  std::vector<int> renamed = {0};  // by value of `graph`: the value of `folded` that holds it
  for (Graph::Node& node : graph.nodes()) {
    const int source = node.inputs.front();
    if (is_relu(node) && source > 0 && readers[static_cast<size_t>(source)] == 1) {
      const int held = renamed[static_cast<size_t>(source)];
      Graph::Node& before = folded.nodes()[static_cast<size_t>(held - 1)];
      // The main output must stay the last value, even with an auxiliary head before it.
      const bool moves_output = &node == &graph.nodes().back() && held != folded.output();
      if (before.layer->traits().applies_relu && !before.relu && !moves_output) {
        before.relu = true;
        before.loss_weight = node.loss_weight;
        before.output_name = node.output_name;
        renamed.push_back(held);
        continue;
      }
    }
    for (int& value : node.inputs) value = renamed[static_cast<size_t>(value)];
    if (node.parameters_of >= 0)
      node.parameters_of = renamed[static_cast<size_t>(node.parameters_of) + 1] - 1;
    renamed.push_back(folded.add(std::move(node)));
  }
  return folded;
}

}  // namespace

Graph fuse_relus(Graph graph) {
  move_relus_behind_pools(graph);
  // Swapping leaves outdated values in the swapped layers; adding every layer again infers them.
  return fold_relus(std::move(graph));
}

Graph rewrite(Graph graph, const std::vector<std::string>& recomputed, Precision precision) {
  return in_precision(recompute(fuse_relus(std::move(graph)), recomputed), precision);
}

}  // namespace lockstep
