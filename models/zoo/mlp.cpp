#include <fmt/format.h>

#include <vector>

#include "models/zoo/architectures.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

namespace {

const LayerKind& activation_named(const std::string& name) {
  std::vector<std::string> known;
  for (const LayerKind& kind : activation_kinds()) {
    known.push_back(kind.name);
    if (kind.name == name) return kind;
  }
  fail(ExitCode::usage, "unknown model.activation '{}'{}", name, suggestion(name, known));
}

/// flatten, then for each hidden size: linear, activation, dropout; then linear to the outputs.
Graph build_mlp(const ModelRequest& request) {
  const std::vector<int64_t>& hidden = request.integers("hidden");
  const double rate = request.number("dropout");
  const LayerKind& activation = activation_named(request.text("activation"));
  // He's bounds preserve the variance where about half of the values are lost, Glorot's elsewhere.
  const bool rectifies = activation.name != layers::sigmoid.kind && activation.name != layers::tanh.kind;

  Graph graph(request.input, request.seed);
  graph.add("flatten", layers::flatten());
  for (size_t i = 0; i < hidden.size(); ++i) {
    const size_t number = i + 1;
    graph.add(
        fmt::format("linear{}", number),
        layers::linear({.outputs = hidden[i], .init = rectifies ? Init::he_uniform : Init::glorot_uniform}));
    graph.add(fmt::format("{}{}", activation.name, number), activation.with({}));
    if (rate != 0) graph.add(fmt::format("dropout{}", number), layers::dropout({.rate = rate}));
  }
  graph.add("output", layers::linear({.outputs = request.output.elements()}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::mlp_models() {
  return {{.name = "mlp",
           .description = "multilayer perceptron",
           .paper = "",
           .keys = {{"hidden", "sizes of the hidden layers", std::vector<int64_t>{64}},
                    {"activation", "kind of an activation layer: relu, sigmoid, tanh, gelu, ...",
                     std::string("relu")},
                    {"dropout", "probability of zero after each hidden layer", 0.0}},
           .build = build_mlp,
           .standard = {{DType::f32, {28, 28, 1}}, {10}},
           .small = {
               {DType::f32, {13, 12, 3}}, {4}, {{"hidden", std::vector<int64_t>{9, 7}}, {"dropout", 0.25}}}}};
}

}  // namespace lockstep
