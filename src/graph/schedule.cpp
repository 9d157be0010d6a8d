#include "src/graph/schedule.h"

#include <algorithm>

namespace lockstep {

namespace {

/// The layers of the segment [first, last] to rerun before its backward: those whose output or saved tensors
/// backward reads, and those that they depend on, unless layers outside the segment keep the values.
std::vector<int> layers_to_recompute(const Graph& graph, const std::vector<bool>& needs_gradient, int first,
                                     int last) {
  const auto node = [&](int i) -> const Graph::Node& { return graph.nodes()[static_cast<size_t>(i)]; };
  const auto has_backward = [&](int i) { return needs_gradient[static_cast<size_t>(i) + 1]; };
  // Kept: values that layers after the segment read.
  const auto kept = [&](int value) {
    if (graph.is_output(value)) return true;
    for (int i = last + 1; i < graph.output(); ++i)
      if (std::ranges::count(node(i).inputs, value) > 0) return true;
    return false;
  };
  std::vector<bool> needed(static_cast<size_t>(graph.output()) + 1, false);
  for (int i = first; i <= last; ++i) {
    if (!has_backward(i)) continue;
    const LayerTraits traits = node(i).layer->traits();
    if (node(i).backward_reads_output()) needed[static_cast<size_t>(i) + 1] = true;
    if (traits.backward_reads_input)
      for (const int value : node(i).layer_inputs()) needed[static_cast<size_t>(value)] = true;
  }
  std::vector<int> again;
  for (int i = last; i >= first; --i) {
    const bool leaves_something = has_backward(i) && !node(i).layer->saved().empty();
    if (!leaves_something && (!needed[static_cast<size_t>(i) + 1] || kept(i + 1))) continue;
    for (const int value : node(i).inputs) needed[static_cast<size_t>(value)] = true;
    again.push_back(i);
  }
  std::ranges::reverse(again);
  return again;
}

/// Whether a later layer, whose backward runs earlier, also uses this layer's parameter.
bool is_written_behind(const Graph& graph, int node, const std::string& parameter) {
  const int holder = graph.holder(node, parameter);
  for (int later = node + 1; later < graph.output(); ++later) {
    if (graph.nodes()[static_cast<size_t>(later)].parameters_of != holder) continue;
    for (const ParameterSpec& spec : graph.nodes()[static_cast<size_t>(later)].layer->parameters())
      if (spec.name == parameter && graph.holder(later, parameter) == holder) return true;
  }
  return false;
}

}  // namespace

std::vector<bool> values_with_gradient(const Graph& graph) {
  std::vector<bool> needs(graph.nodes().size() + 1, false);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    bool need = !node.layer->parameters().empty() && !graph.frozen(static_cast<int>(i));
    for (const int input : node.inputs) need = need || needs[static_cast<size_t>(input)];
    needs[i + 1] = need;
  }
  return needs;
}

std::vector<bool> layers_that_add_to_gradient(const Graph& graph) {
  const std::vector<bool> needs_gradient = values_with_gradient(graph);
  std::vector<bool> has_gradient(graph.nodes().size() + 1, false), add(graph.nodes().size(), false);
  for (const Graph::Output& output : graph.outputs()) has_gradient[static_cast<size_t>(output.value)] = true;
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const Graph::Node& node = graph.nodes()[i];
    if (!needs_gradient[i + 1]) continue;
    const auto input = static_cast<size_t>(node.inputs[0]);
    add[i] = needs_gradient[input] && has_gradient[input] && node.layer->traits().adds_to_gradient;
    for (const int value : node.inputs) has_gradient[static_cast<size_t>(value)] = true;
  }
  return add;
}

std::vector<bool> computed_values(const Graph& graph, bool training) {
  std::vector<bool> computed(graph.nodes().size() + 1, training);
  computed.back() = true;
  for (size_t i = graph.nodes().size(); i-- > 0;)
    if (computed[i + 1])
      for (const int input : graph.nodes()[i].inputs) computed[static_cast<size_t>(input)] = true;
  return computed;
}

std::vector<Event> schedule(const Graph& graph, bool training) {
  using enum Event::Kind;
  std::vector<Event> events;
  const int layers = graph.output();
  const std::vector<bool> computed = computed_values(graph, training);
  for (int i = 0; i < layers; ++i)
    if (computed[static_cast<size_t>(i) + 1]) events.push_back({forward, i});
  const std::vector<bool> needs_gradient = values_with_gradient(graph);
  const std::vector<Graph::Output> outputs = graph.outputs();
  const auto is_trained = [&](const Graph::Output& output) {
    return needs_gradient[static_cast<size_t>(output.value)];
  };
  if (!training || std::ranges::none_of(outputs, is_trained)) return events;

  const std::vector<bool> adds_itself = layers_that_add_to_gradient(graph);
  std::vector<bool> has_gradient(static_cast<size_t>(layers) + 1, false);
  for (size_t k = 0; k < outputs.size(); ++k) {
    events.push_back({loss, layers, static_cast<int>(k)});
    has_gradient[static_cast<size_t>(outputs[k].value)] = true;
  }
  for (int i = layers - 1; i >= 0; --i) {
    const Graph::Node& node = graph.nodes()[static_cast<size_t>(i)];
    const bool ends_segment =
        node.segment >= 0 &&
        (i == layers - 1 || graph.nodes()[static_cast<size_t>(i) + 1].segment != node.segment);
    if (ends_segment) {
      int first = i;
      while (first > 0 && graph.nodes()[static_cast<size_t>(first) - 1].segment == node.segment) --first;
      for (const int again : layers_to_recompute(graph, needs_gradient, first, i))
        events.push_back({recompute, again});
    }
    if (!needs_gradient[static_cast<size_t>(i) + 1]) continue;
    INVARIANT(has_gradient[static_cast<size_t>(i) + 1], "nobody reads the output of layer {}", node.name);
    events.push_back({backward, i});
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const auto value = static_cast<size_t>(node.inputs[k]);
      if (!needs_gradient[value]) continue;
      const bool added = k == 0 && adds_itself[static_cast<size_t>(i)];
      if (has_gradient[value] && !added) events.push_back({add_gradient, i, static_cast<int>(k)});
      has_gradient[value] = true;
    }
    const std::vector<ParameterSpec> parameters = node.layer->parameters();
    for (size_t p = 0; p < parameters.size(); ++p)
      if (!graph.tuning(i, parameters[p].name).frozen && is_written_behind(graph, i, parameters[p].name))
        events.push_back({add_parameter, i, static_cast<int>(p)});
  }
  return events;
}

}  // namespace lockstep
