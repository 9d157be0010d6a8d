#include "src/graph/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace {

/// Throws Error(usage) for an array too large for any machine, so that later products of sizes fit an
/// int64_t.
void check_size(const char* what, const Shape& shape) {
  double elements = 1;
  for (const int64_t extent : shape.extents()) elements *= static_cast<double>(extent);
  if (elements > 0x1p40)
    fail(ExitCode::usage, "{} {} would hold {:.0e} numbers.", what, to_string(shape), elements);
}

}  // namespace

Graph::Graph(const Value& input, uint64_t seed, Precision precision)
    : input_(input), seed_(seed), precision_(precision) {
  for (const int64_t extent : input.shape.extents())
    if (extent <= 0)
      fail(ExitCode::data, "a sample of shape {} is empty: a network needs data.", to_string(input.shape));
}

bool Graph::Node::backward_reads_output() const {
  const LayerTraits traits = layer->traits();
  return traits.backward_reads_output || (activation == Activation::relu && (adds || !traits.recovers_relu));
}

Graph Graph::clone() const {
  Graph copy(input_, seed_, precision_);
  for (const Node& node : nodes_)
    copy.nodes_.push_back({node.name, node.layer->clone(), node.inputs, node.output, node.adds,
                           node.activation, node.parameters_of, node.taken_from, node.segment, node.tuning,
                           node.loss_weight, node.output_name, node.sums, node.writes_f32});
  return copy;
}

int Graph::add(const std::string& name, const NewLayer& layer) { return add(name, layer, {output()}); }

int Graph::add(const std::string& name, const NewLayer& layer, std::vector<int> inputs) {
  Node node;
  node.name = name;
  node.inputs = std::move(inputs);
  try {
    node.layer = layer.make({name, seed_});
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("layer '{}' ({}): {}", name, layer.kind, error.what()));
  }
  return add(std::move(node));
}

int Graph::add(Node node) {
  if (node.name.empty() || node.name.find('/') != std::string::npos)
    fail(ExitCode::usage, "'{}' cannot name a layer: names must not be empty or contain '/'.", node.name);
  if (find(node.name) >= 0)
    fail(ExitCode::usage, "two layers are named '{}': give one of them another name.", node.name);
  std::vector<Value> inputs;
  for (const int number : node.layer_inputs()) inputs.push_back(value(number));
  try {
    node.output = node.layer->infer(inputs);
    INVARIANT(!node.adds || shape(node.inputs.back()) == node.output.shape, "adds {} to {}",
              to_string(shape(node.inputs.back())), to_string(node.output.shape));
    if (is_real(node.output.dtype))
      node.output.dtype = node.writes_f32 ? DType::f32 : activation_type(precision_);
    check_size("its output", node.output.shape);
    for (const ParameterSpec& parameter : node.layer->parameters())
      check_size("its parameter", parameter.shape);
  } catch (const Error& error) {
    throw Error(error.code(),
                fmt::format("layer '{}' ({}): {}", node.name, node.layer->kind(), error.what()));
  }
  nodes_.push_back(std::move(node));
  return output();
}

void Graph::share_parameters(const std::string& name, const std::string& owner) {
  const int reader = find(name), source = find(owner);
  INVARIANT(reader >= 0, "there is no layer '{}'", name);
  if (source < 0 || source >= reader) {
    std::vector<std::string> earlier;
    for (int i = 0; i < reader; ++i) earlier.push_back(nodes_[static_cast<size_t>(i)].name);
    fail(ExitCode::usage, "layer '{}' uses the parameters of '{}', which is not an earlier layer{}", name,
         owner, suggestion(owner, earlier));
  }
  Node& node = nodes_[static_cast<size_t>(reader)];
  bool shares = false;
  for (const ParameterSpec& mine : node.layer->parameters())
    for (const ParameterSpec& theirs : nodes_[static_cast<size_t>(source)].layer->parameters()) {
      if (mine.name != theirs.name) continue;
      if (!(mine.shape == theirs.shape))
        fail(ExitCode::usage, "layer '{}' uses {}.{} {}, but its own {} is {}.", name, owner, mine.name,
             to_string(theirs.shape), mine.name, to_string(mine.shape));
      shares = true;
    }
  if (!shares)
    fail(ExitCode::usage, "layer '{}' ({}) has no parameter with the same name as one of '{}' ({}).", name,
         node.layer->kind(), owner, nodes_[static_cast<size_t>(source)].layer->kind());
  // In a chain of such layers, the first one holds the parameters.
  const int first = nodes_[static_cast<size_t>(source)].parameters_of;
  node.parameters_of = first >= 0 ? first : source;
}

void Graph::set_loss_weight(const std::string& layer, double weight) {
  const int number = find(layer);
  INVARIANT(number >= 0, "there is no layer '{}'", layer);
  if (!(weight > 0) || !std::isfinite(weight))
    fail(ExitCode::usage, "layer '{}': loss_weight = {} must be a positive number.", layer, weight);
  Node& node = nodes_[static_cast<size_t>(number)];
  node.loss_weight = weight;
  node.output_name = layer;
}

std::vector<Graph::Output> Graph::outputs() const {
  if (nodes_.empty()) return {{"input", 0, 1.0}};
  const Node& last = nodes_.back();
  const bool is_set = last.loss_weight > 0;
  std::vector<Output> all = {
      {last.output_name.empty() ? last.name : last.output_name, output(), is_set ? last.loss_weight : 1.0}};
  for (int value = 1; value < output(); ++value)
    if (const Node& node = nodes_[static_cast<size_t>(value) - 1]; node.loss_weight > 0)
      all.push_back({node.output_name, value, node.loss_weight});
  return all;
}

bool Graph::has_loss_weights() const {
  return std::ranges::any_of(nodes_, [](const Node& node) { return node.loss_weight > 0; });
}

bool Graph::is_output(int value) const {
  return value == output() || (value > 0 && nodes_[static_cast<size_t>(value) - 1].loss_weight > 0);
}

const Value& Graph::value(int number) const {
  INVARIANT(number >= 0 && number <= output(), "value {} of a graph of {} layers", number, output());
  return number == 0 ? input_ : nodes_[static_cast<size_t>(number - 1)].output;
}

int Graph::readers(int value) const {
  int count = is_output(value) ? 1 : 0;
  for (const Node& node : nodes_)
    count += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), value));
  return count;
}

int Graph::find(const std::string& name) const {
  const auto found = std::ranges::find(nodes_, name, &Node::name);
  return found == nodes_.end() ? -1 : static_cast<int>(found - nodes_.begin());
}

int Graph::holder(int node, const std::string& parameter) const {
  const int other = nodes_[static_cast<size_t>(node)].parameters_of;
  if (other < 0) return node;
  const std::vector<ParameterSpec> theirs = nodes_[static_cast<size_t>(other)].layer->parameters();
  return std::ranges::find(theirs, parameter, &ParameterSpec::name) == theirs.end() ? node : other;
}

DType Graph::read_type(int node, const ParameterSpec& parameter) const {
  switch (parameter.read_as) {
    case ReadAs::f32:
      return DType::f32;
    case ReadAs::output:
      return nodes_[static_cast<size_t>(node)].output.dtype;
    case ReadAs::activations:
      break;
  }
  return activation_type(precision_);
}

Tuning Graph::tuning(int node, const std::string& parameter) const {
  const std::map<std::string, Tuning>& all = nodes_[static_cast<size_t>(holder(node, parameter))].tuning;
  const auto found = all.find(parameter);
  return found == all.end() ? Tuning{} : found->second;
}

bool Graph::frozen(int node) const {
  const std::vector<ParameterSpec> parameters = nodes_[static_cast<size_t>(node)].layer->parameters();
  return !parameters.empty() && std::ranges::all_of(parameters, [&](const ParameterSpec& spec) {
    return tuning(node, spec.name).frozen;
  });
}

}  // namespace lockstep
