#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// The one-tower version (Krizhevsky 2014, "One weird trick"), as in torchvision. Local response norm is that
/// of Krizhevsky et al. 2012, section 3.3, whose alpha is not divided by the size.
Graph build_alexnet(const ModelRequest& request) {
  const Integers& filters = request.list("filters", 5, 5);
  const Integers& hidden = request.list("hidden", 2, 2);
  const double rate = request.number("dropout");
  const auto conv = [](int64_t count, int64_t kernel, int64_t padding, int64_t stride = 1) {
    return layers::conv2d({.filters = count,
                           .kernel = kernel,
                           .stride = stride,
                           .padding = padding,
                           .init = Init::kaiming_torch});
  };
  const auto linear = [](int64_t outputs) {
    return layers::linear({.outputs = outputs, .init = Init::kaiming_torch});
  };
  const NewLayer pool = layers::max_pool2d({.window = 3, .stride = 2});
  const NewLayer norm = layers::local_response_norm({.size = 5, .alpha = 5e-4, .beta = 0.75, .k = 2});

  Graph graph(request.input, request.seed);
  graph.add("features.0", conv(filters[0], 11, 2, request.integer("stride")));
  graph.add("features.1", layers::relu());
  if (request.flag("local_response_norm")) graph.add("norm1", norm);
  graph.add("features.2", pool);
  graph.add("features.3", conv(filters[1], 5, 2));
  graph.add("features.4", layers::relu());
  if (request.flag("local_response_norm")) graph.add("norm2", norm);
  graph.add("features.5", pool);
  graph.add("features.6", conv(filters[2], 3, 1));
  graph.add("features.7", layers::relu());
  graph.add("features.8", conv(filters[3], 3, 1));
  graph.add("features.9", layers::relu());
  graph.add("features.10", conv(filters[4], 3, 1));
  graph.add("features.11", layers::relu());
  graph.add("features.12", pool);
  graph.add("avgpool", layers::adaptive_average_pool2d({.output = request.integer("pooled")}));
  graph.add("flatten", layers::flatten());
  graph.add("classifier.0", layers::dropout({.rate = rate}));
  graph.add("classifier.1", linear(hidden[0]));
  graph.add("classifier.2", layers::relu());
  graph.add("classifier.3", layers::dropout({.rate = rate}));
  graph.add("classifier.4", linear(hidden[1]));
  graph.add("classifier.5", layers::relu());
  graph.add("classifier.6", linear(request.output.elements()));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::alexnet_models() {
  return {
      {.name = "alexnet",
       .description = "five convolutions and three linear layers",
       .paper = "Krizhevsky 2014, arXiv:1404.5997",
       .keys = {{"filters", "filters of the five convolutions", Integers{64, 192, 384, 256, 256}},
                {"stride", "stride of the first convolution", int64_t{4}},
                {"local_response_norm", "normalize over channels after the first two convolutions", false},
                {"pooled", "height and width to which the last convolution is averaged", int64_t{6}},
                {"hidden", "sizes of the two hidden linear layers", Integers{4096, 4096}},
                {"dropout", "probability of zero before each hidden linear layer", 0.5}},
       .build = build_alexnet,
       .standard = zoo::imagenet(),
       .small = zoo::classes({35, 36, 3}, 4,
                             {{"filters", Integers{3, 4, 5, 4, 3}},
                              {"stride", int64_t{2}},
                              {"local_response_norm", true},
                              {"pooled", int64_t{2}},
                              {"hidden", Integers{9, 7}}})}};
}

}  // namespace lockstep
