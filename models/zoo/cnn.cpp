#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

/// For each number of filters: conv 3x3, ReLU, max pool 2; then flatten, dropout and linear to the outputs.
Graph build_cnn(const Value& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed) {
  const auto& filters = std::get<std::vector<int64_t>>(keys.at("filters"));
  const double rate = std::get<double>(keys.at("dropout"));

  Graph graph(input, seed);
  for (size_t i = 0; i < filters.size(); ++i) {
    const size_t number = i + 1;
    graph.add(fmt::format("conv{}", number),
              layers::conv2d({.filters = filters[i], .init = Init::he_uniform}));
    graph.add(fmt::format("relu{}", number), layers::relu());
    graph.add(fmt::format("pool{}", number), layers::max_pool2d());
  }
  graph.add("flatten", layers::flatten());
  if (rate != 0) graph.add("dropout", layers::dropout({.rate = rate}));
  graph.add("output", layers::linear({.outputs = outputs}));
  return graph;
}

}  // namespace lockstep
