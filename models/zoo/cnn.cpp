#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

namespace {

/// For each number of filters: conv 3x3, ReLU, max pool 2; then flatten, dropout and linear to the outputs.
Graph build_cnn(const ModelRequest& request) {
  const std::vector<int64_t>& filters = request.integers("filters");
  const double rate = request.number("dropout");

  Graph graph(request.input, request.seed);
  for (size_t i = 0; i < filters.size(); ++i) {
    const size_t number = i + 1;
    graph.add(fmt::format("conv{}", number),
              layers::conv2d({.filters = filters[i], .init = Init::he_uniform}));
    graph.add(fmt::format("relu{}", number), layers::relu());
    graph.add(fmt::format("pool{}", number), layers::max_pool2d());
  }
  graph.add("flatten", layers::flatten());
  if (rate != 0) graph.add("dropout", layers::dropout({.rate = rate}));
  graph.add("output", layers::linear({.outputs = request.output.elements()}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::cnn_models() {
  return {
      {.name = "cnn",
       .description = "small convolutional network: 3x3 convolutions, each with ReLU and 2x2 max "
                      "pooling, then a linear layer",
       .paper = "",
       .keys = {{"filters", "filters of each convolution", std::vector<int64_t>{32, 64}},
                {"dropout", "probability of zero before the linear layer", 0.0}},
       .build = build_cnn,
       .standard = {{DType::f32, {28, 28, 1}}, {10}},
       .small = {
           {DType::f32, {13, 12, 3}}, {4}, {{"filters", std::vector<int64_t>{3, 5}}, {"dropout", 0.25}}}}};
}

}  // namespace lockstep
