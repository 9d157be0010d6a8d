#include <utility>

#include "src/graph/layers/pointwise/cast.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace {

/// Which values become f32: the outputs, and those that outputs are only copies of. By value.
struct Float32Values {
  std::vector<bool> written;  ///< the layer writes f32 itself
  std::vector<bool> copied;   ///< a copy in f32 is added

  explicit Float32Values(const Graph& graph)
      : written(static_cast<size_t>(graph.output()) + 1), copied(written.size()) {
    for (const Graph::Output& output : graph.outputs()) trace(graph, output.value);
  }

 private:
  void trace(const Graph& graph, int value) {
    if (value == 0 || graph.readers(value) > 1) {
      copied[static_cast<size_t>(value)] = true;
      return;
    }
    const Graph::Node& node = graph.nodes()[static_cast<size_t>(value) - 1];
    const LayerTraits traits = node.layer->traits();
    const bool writes = traits.writes_f32 && !node.activation && !node.adds;
    const bool copies = (traits.reshape || traits.takes_first) && node.inputs[0] > 0;
    (writes || copies ? written : copied)[static_cast<size_t>(value)] = true;
    if (copies) trace(graph, node.inputs[0]);
  }
};

Graph::Node cast_node(const std::string& name, int value, bool to_f32) {
  Graph::Node node;
  node.name = name;
  node.layer = make_cast();
  node.inputs = {value};
  node.writes_f32 = to_f32;
  return node;
}

}  // namespace

Graph in_precision(Graph graph, Precision precision) {
  const DType type = activation_type(precision);
  const bool is_narrow = type != DType::f32;
  const Float32Values f32(graph);
  Graph result(graph.value(0), graph.seed(), precision);
  std::vector<int> renamed = {0}, in_f32 = {0};  // by value of `graph`: which one of `result` it is
  if (is_narrow && is_real(graph.value(0).dtype))
    renamed[0] = result.add(cast_node("input as " + to_string(type), 0, /*to_f32=*/false));
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Graph::Node& node = graph.nodes()[i];
    node.writes_f32 = is_narrow && f32.written[i + 1];
    const bool reads_f32 = node.writes_f32 && !node.layer->traits().writes_f32;
    for (int& value : node.inputs) value = (reads_f32 ? in_f32 : renamed)[static_cast<size_t>(value)];
    if (node.parameters_of >= 0)
      node.parameters_of = renamed[static_cast<size_t>(node.parameters_of) + 1] - 1;
    if (!is_narrow || !f32.copied[i + 1]) {
      renamed.push_back(result.add(std::move(node)));
      in_f32.push_back(renamed.back());
      continue;
    }
    // The copy is the output in place of the layer.
    const double loss_weight = std::exchange(node.loss_weight, 0.0);
    const std::string name = node.name, output_name = std::exchange(node.output_name, {});
    renamed.push_back(result.add(std::move(node)));
    Graph::Node copy = cast_node(name + " as float32", renamed.back(), /*to_f32=*/true);
    copy.loss_weight = loss_weight;
    copy.output_name = output_name.empty() ? name : output_name;
    in_f32.push_back(result.add(std::move(copy)));
  }
  return result;
}

}  // namespace lockstep
