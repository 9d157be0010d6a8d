#include "launch/weights/published_tensors.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace lockstep {

namespace {

/// The axes of an image, a volume or a signal that a layer has made a vector of, the channels last; none for
/// other values.
using Flattened = std::optional<Shape>;

/// Whether a value has its channels first in PyTorch: it has several spatial axes, or one along which there
/// are convolutions. Sequences of vectors are the same there.
bool has_channels_first(const Graph& graph, int value) {
  const int rank = graph.shape(value).rank();
  if (rank != 2) return rank > 2;
  for (; value > 0; value = graph.nodes()[static_cast<size_t>(value - 1)].inputs[0])
    for (const ParameterSpec& spec : graph.nodes()[static_cast<size_t>(value - 1)].layer->parameters())
      if (spec.channels_last_filter) return spec.shape.rank() == rank + 1;
  return false;
}

/// What each value of the graph was before it was flattened.
std::vector<Flattened> flattened_values(const Graph& graph) {
  std::vector<Flattened> values{std::nullopt};
  for (const Graph::Node& node : graph.nodes()) {
    const int input = node.inputs[0];
    const Shape& before = graph.shape(input);
    Flattened& flattened = values.emplace_back();
    if (node.output.shape.rank() != 1) continue;
    if (node.layer->kind() == "flatten" && before.rank() > 1) {
      if (has_channels_first(graph, input)) flattened = before;
    } else if (before == node.output.shape && node.layer->kind() != "linear") {
      flattened = values[static_cast<size_t>(input)];  // a function of each element, or a norm
    }
  }
  return values;
}

/// As a library calls and shapes a tensor that is one of a layer which reads `input`.
void publish(PublishedTensor& tensor, const Naming& naming, const std::string& kind, const Flattened& input) {
  tensor.name = tensor.own.name;
  tensor.shape = tensor.own.shape;
  const Shape& shape = tensor.own.shape;
  const bool reads_each_input = kind == "linear" ? shape.rank() == 2 : shape.rank() == 1;
  if (input && reads_each_input && shape[-1] == input->elements()) {
    tensor.columns = (*input)[-1];
    tensor.rows = shape[-1] / tensor.columns;
    tensor.matrices = shape.elements() / shape[-1];
  }
  for (const Renaming& renaming : naming.renamings) {
    const size_t at = tensor.name.find(renaming.ours);
    if (at == std::string::npos) continue;
    tensor.name.replace(at, renaming.ours.size(), renaming.theirs);
    for (int i = 0; i < renaming.leading_ones; ++i) tensor.shape = tensor.shape.batched(1);
    if (!renaming.transposed) continue;
    tensor.rows = shape[0];
    tensor.columns = shape[1];
    tensor.shape = {shape[1], shape[0]};
  }
}

std::vector<float> transposed(int64_t matrices, int64_t rows, int64_t columns,
                              std::span<const float> values) {
  std::vector<float> result(values.size());
  for (int64_t m = 0; m < matrices; ++m)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        result[static_cast<size_t>((m * columns + c) * rows + r)] =
            values[static_cast<size_t>((m * rows + r) * columns + c)];
  return result;
}

std::vector<float> copied(std::span<const float> values) { return {values.begin(), values.end()}; }

bool is_same_order(const PublishedTensor& tensor) { return tensor.rows == 1 || tensor.columns == 1; }

/// Names of parameters that are another layer's.
void add_tied_names(const Graph& graph, const ParameterLayout& layout, const Naming& naming,
                    std::vector<PublishedTensor>& parameters) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    const std::vector<ParameterSpec> specs = node.layer->parameters();
    for (size_t k = 0; k < specs.size(); ++k) {
      const auto slot = static_cast<size_t>(layout.parameters_of_node[i][k]);
      PublishedTensor own{.own = {.name = node.owner() + "." + specs[k].name,
                                  .offset = 0,
                                  .shape = logical_shape(layout.parameters[slot])}};
      if (own.own.name == parameters[slot].own.name) continue;
      publish(own, naming, node.layer->kind(), std::nullopt);
      parameters[slot].tied.push_back(own.name);
    }
  }
}

}  // namespace

std::vector<PublishedTensor> published_tensors(const Graph& graph, const ParameterLayout& layout,
                                               const Naming& naming) {
  const std::vector<Flattened> flattened = flattened_values(graph);
  std::vector<PublishedTensor> all;
  for (const bool is_state : {false, true}) {
    const std::vector<ParameterLayout::Slot>& slots = is_state ? layout.states : layout.parameters;
    for (size_t i = 0; i < slots.size(); ++i) {
      const Graph::Node& node = graph.nodes()[static_cast<size_t>(slots[i].node)];
      for (FileTensor& own : tensors_of(slots[i])) {
        PublishedTensor& tensor =
            all.emplace_back(PublishedTensor{.is_state = is_state, .slot = i, .own = std::move(own)});
        publish(tensor, naming, node.layer->kind(), flattened[static_cast<size_t>(node.inputs[0])]);
      }
    }
    if (!is_state) add_tied_names(graph, layout, naming, all);
  }
  return all;
}

std::vector<float> published_order(const PublishedTensor& tensor, std::span<const float> own) {
  if (is_same_order(tensor)) return copied(own);
  return transposed(tensor.matrices, tensor.rows, tensor.columns, own);
}

std::vector<float> own_order(const PublishedTensor& tensor, std::span<const float> published) {
  if (is_same_order(tensor)) return copied(published);
  return transposed(tensor.matrices, tensor.columns, tensor.rows, published);
}

}  // namespace lockstep
