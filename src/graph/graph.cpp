#include "src/graph/graph.h"

#include <algorithm>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

/// Throws Error(usage) for an array that no machine holds; sizes multiplied later on then fit an int64_t.
void check_size(const char* what, const Shape& shape) {
  double elements = 1;
  for (const int64_t extent : shape.extents()) elements *= static_cast<double>(extent);
  if (elements > 0x1p40)
    fail(ExitCode::usage, "{} {} would hold {:.0e} numbers.", what, to_string(shape), elements);
}

}  // namespace

Graph::Graph(const Shape& input) : input_(input) {
  for (const int64_t extent : input.extents())
    if (extent <= 0)
      fail(ExitCode::data, "a sample of shape {} is empty: a network needs data.", to_string(input));
}

Graph Graph::clone() const {
  Graph copy(input_);
  for (const Node& node : nodes_) copy.add(node.name, node.layer->clone(), node.inputs);
  return copy;
}

int Graph::add(const std::string& name, std::unique_ptr<Layer> layer) {
  return add(name, std::move(layer), {output()});
}

int Graph::add(const std::string& name, std::unique_ptr<Layer> layer, std::vector<int> inputs) {
  if (name.empty() || name.find('/') != std::string::npos)
    fail(ExitCode::usage, "'{}' cannot name a layer: a name is not empty and holds no '/'.", name);
  if (std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) { return node.name == name; }))
    fail(ExitCode::usage, "two layers are named '{}': give one of them another name.", name);
  std::vector<Shape> shapes;
  for (const int value : inputs) shapes.push_back(shape(value));
  Shape output_shape;
  try {
    output_shape = layer->infer(shapes);
    check_size("its output", output_shape);
    for (const ParameterSpec& parameter : layer->parameters()) check_size("its parameter", parameter.shape);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("layer '{}' ({}): {}", name, layer->kind(), error.what()));
  }
  nodes_.push_back({name, std::move(layer), std::move(inputs), output_shape});
  return output();
}

const Shape& Graph::shape(int value) const {
  INVARIANT(value >= 0 && value <= output(), "value {} of a graph of {} layers", value, output());
  return value == 0 ? input_ : nodes_[static_cast<size_t>(value - 1)].output;
}

int Graph::readers(int value) const {
  int count = value == output() ? 1 : 0;
  for (const Node& node : nodes_)
    count += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), value));
  return count;
}

}  // namespace lockstep
