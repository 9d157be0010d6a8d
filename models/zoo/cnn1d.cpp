#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// For each number of filters: convolution that keeps the length, batch norm, ReLU and, if `pool` is above 1,
/// max pooling; then the mean over time and a linear layer.
Graph build_cnn1d(const ModelRequest& request) {
  const Integers& filters = request.list("filters", 1, 64);
  const Integers& kernels = request.list("kernels", filters.size(), filters.size());
  const int64_t pool = request.integer("pool");
  if (request.input.shape.rank() != 2) fail(ExitCode::usage, "works on signals (length, channels).");

  Graph graph(request.input, request.seed);
  for (size_t i = 0; i < filters.size(); ++i) {
    const size_t number = i + 1;
    zoo::add_conv_norm(graph, graph.output(), fmt::format("conv{}", number), fmt::format("norm{}", number),
                       {.filters = filters[i], .kernel = kernels[i], .padding = Padding::same()});
    graph.add(fmt::format("relu{}", number), layers::relu());
    if (pool != 1) graph.add(fmt::format("pool{}", number), layers::max_pool1d({.window = pool}));
  }
  graph.add("average", layers::global_average_pool());
  const double rate = request.number("dropout");
  if (rate != 0) graph.add("dropout", layers::dropout({.rate = rate}));
  graph.add("output", layers::linear({.outputs = request.output.elements()}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::cnn1d_models() {
  return {
      {.name = "cnn1d",
       .description = "convolutions along signals, each with batch norm and ReLU, then their mean over time",
       .paper = "Wang et al. 2017, arXiv:1611.06455",
       .keys = {{"filters", "filters of each convolution", Integers{128, 256, 128}},
                {"kernels", "length of the filters of each convolution", Integers{8, 5, 3}},
                {"pool", "max pooling after each convolution, for long signals; 1: none", int64_t{1}},
                {"dropout", "probability of zero before the linear layer", 0.0}},
       .build = build_cnn1d,
       .standard = zoo::classes({1024, 1}, 2),
       .small = zoo::classes({33, 2}, 3,
                             {{"filters", Integers{3, 5, 4}}, {"pool", int64_t{2}}, {"dropout", 0.25}})}};
}

}  // namespace lockstep
