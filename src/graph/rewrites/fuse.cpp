#include <algorithm>
#include <map>
#include <utility>

#include "src/graph/rewrites/rewrites.h"

namespace lockstep {

namespace {

bool is_relu(const Graph::Node& node) { return node.layer->traits().activation == Activation::relu; }

bool applies(const LayerTraits& traits, Activation activation) {
  if (activation == Activation::relu) return traits.applies_relu;
  return traits.applies_gelu && (activation == Activation::gelu || activation == Activation::gelu_tanh);
}

/// The index of the only layer that reads this value, or -1 if there are several or it is an output.
int only_reader(const Graph& graph, int value) {
  if (graph.readers(value) != 1) return -1;
  const auto& nodes = graph.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Graph::Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
  });
  return found == nodes.end() ? -1 : static_cast<int>(found - nodes.begin());
}

/// Whether the ReLU costs nothing where it is, because the layer before does it on the way.
bool is_free(const Graph& graph, const Graph::Node& relu) {
  const int value = relu.inputs.front();
  if (value == 0 || graph.readers(value) != 1) return false;
  const LayerTraits before = graph.nodes()[static_cast<size_t>(value) - 1].layer->traits();
  return before.applies_relu && before.recovers_relu;
}

/// relu -> pool becomes pool -> relu. The two swap places in the list, so that all other layers read the same
/// values as before.
void move_relus_behind_pools(Graph& graph) {
  auto& nodes = graph.nodes();
  for (int i = 0; i < graph.output(); ++i) {
    if (!is_relu(nodes[static_cast<size_t>(i)]) || is_free(graph, nodes[static_cast<size_t>(i)])) continue;
    const int reader = only_reader(graph, i + 1);
    if (reader < 0 || !nodes[static_cast<size_t>(reader)].layer->traits().is_maximum) continue;
    Graph::Node& relu = nodes[static_cast<size_t>(i)];
    Graph::Node& pool = nodes[static_cast<size_t>(reader)];
    if (relu.segment != pool.segment) continue;
    std::swap(relu.name, pool.name);
    std::swap(relu.layer, pool.layer);
  }
}

/// Copies a graph without the additions and activations that an earlier layer can do itself, and with the
/// biases of convolutions behind the maxima that are taken of their outputs, which have fewer elements.
class Folding {
 public:
  explicit Folding(Graph graph)
      : graph_(std::move(graph)), result_(graph_.value(0), graph_.seed(), graph_.precision()) {
    for (int value = 0; value <= graph_.output(); ++value) {
      readers_.push_back(graph_.readers(value));
      maxima_.push_back(maximum_of(value));
    }
  }

  Graph run() {
    for (int value = 1; value <= graph_.output(); ++value) {
      Graph::Node& node = graph_.nodes()[static_cast<size_t>(value) - 1];
      if (node.layer->kind() == "add" && fold_sum(node)) continue;
      if (fold_activation(node)) continue;
      if (const int maximum = maxima_[static_cast<size_t>(value)]; maximum > 0)
        take_bias(node, biases_[maximum]);
      for (int& input : node.inputs) input = renamed(input);
      if (node.parameters_of >= 0) node.parameters_of = renamed(node.parameters_of + 1) - 1;
      if (Graph::Node& bias = biases_[value]; bias.layer) {
        bias.loss_weight = std::exchange(node.loss_weight, 0.0);
        bias.output_name = std::exchange(node.output_name, {});
        bias.inputs = {result_.add(std::move(node))};
        renamed_.push_back(result_.add(std::move(bias)));
      } else {
        renamed_.push_back(result_.add(std::move(node)));
      }
    }
    return std::move(result_);
  }

 private:
  int renamed(int value) const { return renamed_[static_cast<size_t>(value)]; }

  /// The layer of the result that computes a value that only `reader` reads, if it can stand for it; else
  /// null.
  Graph::Node* producer(int value, const Graph::Node& reader) {
    if (value == 0 || readers_[static_cast<size_t>(value)] != 1) return nullptr;
    // The main output must stay the last value, even with an auxiliary head before it.
    if (&reader == &graph_.nodes().back() && renamed(value) != result_.output()) return nullptr;
    Graph::Node& node = result_.nodes()[static_cast<size_t>(renamed(value)) - 1];
    // What is computed again for backward is what was asked for.
    return node.segment == reader.segment ? &node : nullptr;
  }

  /// The producer computes what the node does.
  void replace(const Graph::Node& node, Graph::Node& producer, int value) {
    producer.loss_weight = node.loss_weight;
    producer.output_name = node.output_name;
    renamed_.push_back(renamed(value));
  }

  /// The value that is the maximum of elements of this one, if nothing else reads this one and the parameters
  /// are this layer's alone; else 0.
  int maximum_of(int value) const {
    const int reader = only_reader(graph_, value);
    if (value == 0 || reader < 0) return 0;
    const auto& nodes = graph_.nodes();
    const Graph::Node &node = nodes[static_cast<size_t>(value) - 1],
                      &maximum = nodes[static_cast<size_t>(reader)];
    const bool is_shared =
        node.parameters_of >= 0 || std::ranges::count(nodes, value - 1, &Graph::Node::parameters_of) > 0;
    return maximum.layer->traits().is_maximum && maximum.segment == node.segment && !is_shared ? reader + 1
                                                                                               : 0;
  }

  /// Leaves the layer's bias, if it has one, to another layer.
  static void take_bias(Graph::Node& node, Graph::Node& bias) {
    Layer::WithoutBias parts = node.layer->without_bias();
    if (!parts.layer) return;
    node.layer = std::move(parts.layer);
    bias.name = node.name + ", bias";
    bias.taken_from = node.name;
    bias.layer = std::move(parts.bias);
    bias.segment = node.segment;
    bias.tuning = node.tuning;
  }

  /// When the later of two layers runs, the output of the other one is there.
  bool fold_sum(const Graph::Node& sum) {
    const auto [earlier, later] = std::minmax(sum.inputs[0], sum.inputs[1]);
    Graph::Node* const before = producer(later, sum);
    if (before == nullptr || !before->layer->traits().applies_sum || before->adds || before->activation)
      return false;
    before->adds = true;
    before->inputs.push_back(renamed(earlier));
    replace(sum, *before, later);
    return true;
  }

  bool fold_activation(const Graph::Node& node) {
    const std::optional<Activation> activation = node.layer->traits().activation;
    if (!activation) return false;
    Graph::Node* const before = producer(node.inputs[0], node);
    if (before == nullptr || !applies(before->layer->traits(), *activation) || before->activation)
      return false;
    before->activation = activation;
    replace(node, *before, node.inputs[0]);
    return true;
  }

  Graph graph_, result_;
  std::vector<int> readers_, maxima_;  // of each value of graph_
  std::vector<int> renamed_ = {0};     // by value of graph_: the value of result_ that holds it
  std::map<int, Graph::Node> biases_;  // by value of graph_: what is added to it
};

}  // namespace

Graph fuse(Graph graph) {
  move_relus_behind_pools(graph);
  // Swapping leaves outdated values in the swapped layers; adding every layer again infers them.
  return Folding(std::move(graph)).run();
}

Graph rewrite(Graph graph, const std::vector<std::string>& recomputed, Precision precision, bool sums) {
  Graph rewritten = in_precision(fuse(recompute(std::move(graph), recomputed)), precision);
  return sums ? sum_up(std::move(rewritten)) : std::move(rewritten);
}

}  // namespace lockstep
