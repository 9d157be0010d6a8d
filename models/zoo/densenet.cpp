#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

int add_conv(Graph& graph, const std::string& name, ConvOptions options) {
  options.bias = false;
  options.init = Init::he_normal;
  return graph.add(name, layers::conv2d(options));
}

/// Norm, ReLU and 1x1 convolution, then norm, ReLU and 3x3 convolution to `growth` channels.
int add_dense_layer(Graph& graph, int input, const std::string& name, int64_t bottleneck, int64_t growth,
                    double rate) {
  graph.add(name + ".norm1", layers::batch_norm(), {input});
  graph.add(name + ".relu1", layers::relu());
  add_conv(graph, name + ".conv1", {.filters = bottleneck * growth, .kernel = 1});
  graph.add(name + ".norm2", layers::batch_norm());
  graph.add(name + ".relu2", layers::relu());
  const int value = add_conv(graph, name + ".conv2", {.filters = growth, .kernel = 3, .padding = 1});
  return rate == 0 ? value : graph.add(name + ".drop", layers::dropout({.rate = rate}));
}

/// Halves the channels, the height and the width.
int add_transition(Graph& graph, const std::string& name, double compression) {
  const int64_t channels = graph.shape(graph.output())[-1];
  graph.add(name + ".norm", layers::batch_norm());
  graph.add(name + ".relu", layers::relu());
  const auto filters = static_cast<int64_t>(static_cast<double>(channels) * compression);
  add_conv(graph, name + ".conv", {.filters = filters, .kernel = 1});
  return graph.add(name + ".pool", layers::average_pool2d({.window = 2}));
}

Graph build_densenet(const ModelRequest& request) {
  const Integers& blocks = request.list("blocks", 1, 8);
  const int64_t growth = request.integer("growth"), bottleneck = request.integer("bottleneck");
  const double rate = request.number("dropout");
  const double compression =
      request.number_in("compression", {.min = 0, .max = 1, .min_open = true, .max_open = false});

  Graph graph(request.input, request.seed);
  const bool large_images = request.choice("stem", {"imagenet", "cifar"}) == "imagenet";
  const int64_t filters = request.integer("stem_filters");
  if (large_images)
    add_conv(graph, "features.conv0", {.filters = filters, .kernel = 7, .stride = 2, .padding = 3});
  else
    add_conv(graph, "features.conv0", {.filters = filters, .kernel = 3, .padding = 1});
  graph.add("features.norm0", layers::batch_norm());
  int value = graph.add("features.relu0", layers::relu());
  if (large_images)
    value = graph.add("features.pool0", layers::max_pool2d({.window = 3, .stride = 2, .padding = 1}));

  for (size_t block = 0; block < blocks.size(); ++block) {
    const std::string name = fmt::format("features.denseblock{}", block + 1);
    for (int64_t i = 0; i < blocks[block]; ++i) {
      const std::string layer = fmt::format("{}.denselayer{}", name, i + 1);
      const int more = add_dense_layer(graph, value, layer, bottleneck, growth, rate);
      value = graph.add(layer + ".concat", layers::concat(), {value, more});
    }
    if (block + 1 < blocks.size())
      value = add_transition(graph, fmt::format("features.transition{}", block + 1), compression);
  }
  // The number 5 is torchvision's, for four blocks.
  graph.add(fmt::format("features.norm{}", blocks.size() + 1), layers::batch_norm());
  graph.add("relu", layers::relu());
  graph.add("avgpool", layers::global_average_pool());
  graph.add("classifier",
            layers::linear({.outputs = request.output.elements(), .init = Init::kaiming_torch}));
  return graph;
}

/// In the weights that torchvision publishes, the layers of a block have the names of its first version.
std::vector<Naming> densenet_namings() {
  return {{.library = "torchvision"},
          {.library = "torchvision-hub",
           .renamings = {{".norm1.", ".norm.1."},
                         {".conv1.", ".conv.1."},
                         {".norm2.", ".norm.2."},
                         {".conv2.", ".conv.2."}}}};
}

ModelEntry densenet(int depth, const Integers& blocks, int64_t growth, int64_t stem_filters) {
  return {
      .name = fmt::format("densenet{}", depth),
      .description = fmt::format("each layer reads all earlier ones of its block, {} layers", depth),
      .paper = "Huang et al. 2017, arXiv:1608.06993",
      .keys = {{"blocks", "layers of each dense block", blocks},
               {"growth", "channels that each layer adds", growth},
               {"bottleneck", "channels inside a layer, as a multiple of growth", int64_t{4}},
               {"compression", "fraction of the channels that a transition keeps", 0.5},
               {"stem", "imagenet (7x7, stride 2, then max pooling) or cifar (3x3)", std::string("imagenet")},
               {"stem_filters", "filters of the first convolution", stem_filters},
               {"dropout", "probability of zero after each dense layer", 0.0}},
      .build = build_densenet,
      .standard = zoo::imagenet(),
      .small = zoo::classes({18, 17, 3}, 4,
                            {{"blocks", Integers{2, 2}},
                             {"growth", int64_t{3}},
                             {"bottleneck", int64_t{2}},
                             {"stem_filters", int64_t{4}},
                             {"dropout", 0.2}}),
      .namings = densenet_namings()};
}

}  // namespace

std::vector<ModelEntry> zoo::densenet_models() {
  return {densenet(121, {6, 12, 24, 16}, 32, 64), densenet(169, {6, 12, 32, 32}, 32, 64),
          densenet(201, {6, 12, 48, 32}, 32, 64), densenet(161, {6, 12, 36, 24}, 48, 96)};
}

}  // namespace lockstep
