#include <fmt/format.h>

#include <vector>

#include "models/zoo/architectures.h"
#include "src/core/error.h"
#include "src/core/suggest.h"
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

}  // namespace

/// flatten, then for each hidden size: linear, activation, dropout; then linear to the outputs.
Graph build_mlp(const Value& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed) {
  const auto& hidden = std::get<std::vector<int64_t>>(keys.at("hidden"));
  const double rate = std::get<double>(keys.at("dropout"));
  const LayerKind& activation = activation_named(std::get<std::string>(keys.at("activation")));
  // He's bounds preserve the variance where about half of the values are lost, Glorot's elsewhere.
  const bool rectifies = activation.name != layers::sigmoid.kind && activation.name != layers::tanh.kind;

  Graph graph(input, seed);
  graph.add("flatten", layers::flatten());
  for (size_t i = 0; i < hidden.size(); ++i) {
    const size_t number = i + 1;
    graph.add(
        fmt::format("linear{}", number),
        layers::linear({.outputs = hidden[i], .init = rectifies ? Init::he_uniform : Init::glorot_uniform}));
    graph.add(fmt::format("{}{}", activation.name, number), activation.with({}));
    if (rate != 0) graph.add(fmt::format("dropout{}", number), layers::dropout({.rate = rate}));
  }
  graph.add("output", layers::linear({.outputs = outputs}));
  return graph;
}

}  // namespace lockstep
