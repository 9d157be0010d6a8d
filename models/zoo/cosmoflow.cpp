#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// The reference of MLPerf HPC (github.com/mlcommons/hpc), which is written in Keras: LeakyReLU with a slope
/// of 0.3, filters of two voxels a side, and outputs from -1.2 to 1.2 for targets from -1 to 1.
Graph build_cosmoflow(const ModelRequest& request) {
  const Integers& filters = request.list("filters", 1, 8);
  const double rate = request.number("dropout");
  const NewLayer activation = layers::leaky_relu({.slope = request.number("slope")});
  if (request.input.shape.rank() != 4)
    fail(ExitCode::usage, "works on volumes (depth, height, width, channels).");

  Graph graph(request.input, request.seed);
  for (size_t i = 0; i < filters.size(); ++i) {
    const size_t number = i + 1;
    graph.add(fmt::format("conv{}", number),
              layers::conv3d(
                  {.filters = filters[i], .kernel = request.integer("kernel"), .padding = Padding::same()}));
    graph.add(fmt::format("conv{}_relu", number), activation);
    graph.add(fmt::format("pool{}", number), layers::max_pool3d());
  }
  graph.add("flatten", layers::flatten());
  const Integers& hidden = request.integers("hidden");
  for (size_t i = 0; i < hidden.size(); ++i) {
    const size_t number = i + 1;
    graph.add(fmt::format("dense{}", number), layers::linear({.outputs = hidden[i]}));
    graph.add(fmt::format("dense{}_relu", number), activation);
    if (rate != 0) graph.add(fmt::format("dropout{}", number), layers::dropout({.rate = rate}));
  }
  graph.add("output", layers::linear({.outputs = request.output.elements()}));
  if (request.flag("bounded")) {
    graph.add("tanh", layers::tanh());
    graph.add("scale", layers::scale({.factor = 1.2}));
  }
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::cosmoflow_models() {
  return {{.name = "cosmoflow",
           .description = "3-D convolutions that estimate cosmological parameters from volumes of matter",
           .paper = "Mathuriya et al. 2018, arXiv:1808.04728; MLPerf HPC",
           .keys = {{"filters", "filters of each convolution, which ends with 2x2x2 max pooling",
                     Integers{32, 64, 128, 256, 512}},
                    {"kernel", "depth, height and width of the filters", int64_t{2}},
                    {"hidden", "sizes of the hidden linear layers", Integers{128, 64}},
                    {"slope", "slope of LeakyReLU below zero", 0.3},
                    {"dropout", "probability of zero after each hidden linear layer", 0.5},
                    {"bounded", "outputs from -1.2 to 1.2, by tanh", true}},
           .build = build_cosmoflow,
           .standard = zoo::classes({128, 128, 128, 4}, 4),
           .small =
               zoo::classes({9, 8, 10, 2}, 3, {{"filters", Integers{3, 4, 5}}, {"hidden", Integers{7, 5}}})}};
}

}  // namespace lockstep
