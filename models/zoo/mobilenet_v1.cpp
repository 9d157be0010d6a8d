#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// The names are those of Keras, and so are ReLU6 and the norm's options; torchvision has no such model.
Graph build_mobilenet_v1(const ModelRequest& request) {
  const double width = request.number_in("width", kPositive);
  const Integers& filters = request.list("filters", 2, 64);
  const Integers& strides = request.list("strides", filters.size(), filters.size());
  const BatchNormOptions norm{.momentum = 0.01, .epsilon = 1e-3};

  Graph graph(request.input, request.seed);
  const auto conv_norm_relu = [&](const std::string& name, const ConvOptions& options) {
    zoo::add_conv_norm(graph, graph.output(), name, name + "_bn", options, norm);
    return graph.add(name + "_relu", layers::relu6());
  };
  int64_t channels = zoo::scaled(filters[0], width);
  conv_norm_relu("conv1", {.filters = channels, .kernel = 3, .stride = strides[0], .padding = 1});
  for (size_t i = 1; i < filters.size(); ++i) {
    conv_norm_relu(
        fmt::format("conv_dw_{}", i),
        {.filters = channels, .kernel = 3, .stride = strides[i], .padding = 1, .groups = channels});
    channels = zoo::scaled(filters[i], width);
    conv_norm_relu(fmt::format("conv_pw_{}", i), {.filters = channels, .kernel = 1});
  }
  graph.add("global_average_pooling", layers::global_average_pool());
  graph.add("dropout", layers::dropout({.rate = request.number("dropout")}));
  graph.add("conv_preds", layers::linear({.outputs = request.output.elements()}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::mobilenet_v1_models() {
  return {{.name = "mobilenet_v1",
           .description = "depthwise separable convolutions",
           .paper = "Howard et al. 2017, arXiv:1704.04861",
           .keys = {{"width", "factor on all filters", 1.0},
                    {"filters", "filters of the first convolution, and of each 1x1 convolution",
                     Integers{32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024}},
                    {"strides", "strides of the first and of each depthwise convolution",
                     Integers{2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1}},
                    {"dropout", "probability of zero before the last layer", 1e-3}},
           .build = build_mobilenet_v1,
           .standard = zoo::imagenet(),
           .small = zoo::classes(
               {13, 12, 3}, 4,
               {{"width", 0.25}, {"filters", Integers{16, 24, 32}}, {"strides", Integers{2, 1, 2}}})}};
}

}  // namespace lockstep
