#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// The number of a layer in torchvision's two lists of modules, features and classifier.
class Numbered {
 public:
  Numbered(Graph& graph, const std::string& list) : graph_(graph), list_(list) {}
  void add(const NewLayer& layer) { graph_.add(fmt::format("{}.{}", list_, number_++), layer); }

 private:
  Graph& graph_;
  std::string list_;
  int number_ = 0;
};

Graph build_vgg(const ModelRequest& request) {
  const Integers& convolutions = request.list("convolutions", 1, 16);
  const Integers& filters = request.list("filters", convolutions.size(), convolutions.size());
  const double rate = request.number("dropout");

  Graph graph(request.input, request.seed);
  Numbered features(graph, "features");
  for (size_t stage = 0; stage < filters.size(); ++stage) {
    for (int64_t i = 0; i < convolutions[stage]; ++i) {
      features.add(layers::conv2d(
          {.filters = filters[stage], .kernel = 3, .padding = 1, .init = Init::he_normal_out}));
      if (request.flag("batch_norm")) features.add(layers::batch_norm());
      features.add(layers::relu());
    }
    features.add(layers::max_pool2d());
  }
  graph.add("avgpool", layers::adaptive_average_pool2d({.output = request.integer("pooled")}));
  graph.add("flatten", layers::flatten());
  Numbered classifier(graph, "classifier");
  for (const int64_t size : request.integers("hidden")) {
    classifier.add(layers::linear({.outputs = size, .init = Init::normal, .deviation = 0.01}));
    classifier.add(layers::relu());
    classifier.add(layers::dropout({.rate = rate}));
  }
  classifier.add(
      layers::linear({.outputs = request.output.elements(), .init = Init::normal, .deviation = 0.01}));
  return graph;
}

ModelEntry vgg(int depth, const Integers& convolutions, bool batch_norm) {
  return {
      .name = fmt::format("vgg{}{}", depth, batch_norm ? "_bn" : ""),
      .description = fmt::format("3x3 convolutions in five stages{}, {} layers",
                                 batch_norm ? " with batch norm" : "", depth),
      .paper = "Simonyan and Zisserman 2015, arXiv:1409.1556",
      .keys = {{"convolutions", "convolutions of each stage, which ends with 2x2 max pooling", convolutions},
               {"filters", "filters of each stage", Integers{64, 128, 256, 512, 512}},
               {"batch_norm", "batch norm after each convolution", batch_norm},
               {"pooled", "height and width to which the last stage is averaged", int64_t{7}},
               {"hidden", "sizes of the hidden linear layers", Integers{4096, 4096}},
               {"dropout", "probability of zero after each hidden linear layer", 0.5}},
      .build = build_vgg,
      .standard = zoo::imagenet(),
      .small = zoo::classes({13, 12, 3}, 4,
                            {{"convolutions", Integers{1, depth > 13 ? 3 : 2}},
                             {"filters", Integers{3, 5}},
                             {"pooled", int64_t{2}},
                             {"hidden", Integers{9, 7}}})};
}

}  // namespace

std::vector<ModelEntry> zoo::vgg_models() {
  std::vector<ModelEntry> all;
  for (const bool batch_norm : {false, true}) {
    all.push_back(vgg(11, {1, 1, 2, 2, 2}, batch_norm));
    all.push_back(vgg(13, {2, 2, 2, 2, 2}, batch_norm));
    all.push_back(vgg(16, {2, 2, 3, 3, 3}, batch_norm));
    all.push_back(vgg(19, {2, 2, 4, 4, 4}, batch_norm));
  }
  return all;
}

}  // namespace lockstep
