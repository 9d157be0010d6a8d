#include <fmt/format.h>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// The keys that describe a residual block.
struct BlockOptions {
  bool bottleneck = false, stride_first = false, zero_init = false, pads_shortcut = false;
  int64_t groups = 1, group_width = 64;

  int64_t outputs(int64_t filters) const { return bottleneck ? 4 * filters : filters; }
  BatchNormOptions last_norm() const { return {.init = zero_init ? Init::zeros : Init::ones}; }
};

/// The branch of two 3x3 convolutions, or of 1x1, 3x3 and 1x1 (He et al. 2016, figure 5).
int add_branch(Graph& graph, int input, const std::string& name, const BlockOptions& block, int64_t filters,
               int64_t stride) {
  const auto conv_norm = [&](int from, int number, const ConvOptions& options,
                             const BatchNormOptions& norm = {}) {
    return zoo::add_conv_norm(graph, from, fmt::format("{}.conv{}", name, number),
                              fmt::format("{}.bn{}", name, number), options, norm);
  };
  const auto relu = [&](int number) {
    return graph.add(fmt::format("{}.relu{}", name, number), layers::relu());
  };
  if (!block.bottleneck) {
    conv_norm(input, 1, {.filters = filters, .kernel = 3, .stride = stride, .padding = 1});
    return conv_norm(relu(1), 2, {.filters = filters, .kernel = 3, .padding = 1}, block.last_norm());
  }
  const int64_t width = filters * block.group_width / 64 * block.groups;
  const int64_t first = block.stride_first ? stride : 1;
  conv_norm(input, 1, {.filters = width, .kernel = 1, .stride = first});
  conv_norm(relu(1), 2,
            {.filters = width, .kernel = 3, .stride = stride / first, .padding = 1, .groups = block.groups});
  return conv_norm(relu(2), 3, {.filters = block.outputs(filters), .kernel = 1}, block.last_norm());
}

/// The shortcut where the shape changes: a strided 1x1 convolution, or every second position with channels of
/// zeros (options B and A of He et al. 2016, section 4.1).
int add_shortcut(Graph& graph, int input, const std::string& name, const BlockOptions& block, int64_t outputs,
                 int64_t stride) {
  if (!block.pads_shortcut)
    return zoo::add_conv_norm(graph, input, name + ".downsample.0", name + ".downsample.1",
                              {.filters = outputs, .kernel = 1, .stride = stride});
  const int64_t missing = outputs - graph.shape(input)[-1];
  if (missing < 0)
    fail(ExitCode::usage, "model.shortcut = \"padding\" needs stages with increasing model.filters.");
  graph.add(name + ".downsample.subsample",
            zoo::max_pool(graph.shape(input), {.window = 1, .stride = stride}), {input});
  return graph.add(name + ".downsample.pad", layers::pad_channels({.after = missing}));
}

int add_block(Graph& graph, int input, const std::string& name, const BlockOptions& block, int64_t filters,
              int64_t stride) {
  const int branch = add_branch(graph, input, name, block, filters, stride);
  const int64_t outputs = block.outputs(filters);
  const bool same_shape = stride == 1 && graph.shape(input)[-1] == outputs;
  const int shortcut = same_shape ? input : add_shortcut(graph, input, name, block, outputs, stride);
  graph.add(name + ".add", layers::add(), {branch, shortcut});
  return graph.add(name + ".relu", layers::relu());
}

int add_stem(Graph& graph, bool large_images, int64_t filters) {
  if (large_images)
    zoo::add_conv_norm(graph, 0, "conv1", "bn1",
                       {.filters = filters, .kernel = 7, .stride = 2, .padding = 3});
  else
    zoo::add_conv_norm(graph, 0, "conv1", "bn1", {.filters = filters, .kernel = 3, .padding = 1});
  const int last = graph.add("relu", layers::relu());
  if (!large_images) return last;
  return graph.add("maxpool", zoo::max_pool(graph.shape(last), {.window = 3, .stride = 2, .padding = 1}));
}

Graph build_resnet(const ModelRequest& request) {
  const std::vector<int64_t>& blocks = request.list("blocks", 1, 8);
  const std::vector<int64_t>& filters = request.list("filters", blocks.size(), blocks.size());
  const BlockOptions block{
      .bottleneck = request.flag("bottleneck"),
      .stride_first = request.flag("stride_first"),
      .zero_init = request.flag("zero_init"),
      .pads_shortcut = request.choice("shortcut", {"projection", "padding"}) == "padding",
      .groups = request.integer("groups"),
      .group_width = request.integer("group_width")};
  if (!block.bottleneck && (block.groups != 1 || block.group_width != 64))
    fail(ExitCode::usage, "model.groups and model.group_width need model.bottleneck = true.");

  Graph graph(request.input, request.seed);
  int value = add_stem(graph, request.choice("stem", {"imagenet", "cifar"}) == "imagenet", filters[0]);
  for (size_t stage = 0; stage < blocks.size(); ++stage)
    for (int64_t i = 0; i < blocks[stage]; ++i)
      value = add_block(graph, value, fmt::format("layer{}.{}", stage + 1, i), block, filters[stage],
                        stage > 0 && i == 0 ? 2 : 1);
  graph.add("avgpool", layers::global_average_pool());
  graph.add("fc", layers::linear({.outputs = request.output.elements(), .init = Init::kaiming_torch}));
  return graph;
}

using Integers = std::vector<int64_t>;

std::vector<ModelKey> keys(const Integers& blocks, const Integers& filters, bool bottleneck,
                           const std::string& stem, const std::string& shortcut, int64_t groups = 1,
                           int64_t group_width = 64) {
  return {
      {"blocks", "residual blocks of each stage; each stage but the first halves height and width", blocks},
      {"filters", "filters of each stage", filters},
      {"bottleneck", "blocks of 1x1, 3x3 and 1x1 convolutions, with 4 times the filters as output",
       bottleneck},
      {"stem", "imagenet (7x7, stride 2, then max pooling) or cifar (3x3)", stem},
      {"shortcut", "where the shape changes: projection (1x1 convolution) or padding with zeros", shortcut},
      {"stride_first", "in bottlenecks, stride in the first 1x1 convolution (v1) instead of the 3x3 (v1.5)",
       false},
      {"zero_init", "start the last norm of each block at zero (Goyal et al. 2017)", false},
      {"groups", "groups of the 3x3 convolution in bottlenecks (ResNeXt)", groups},
      {"group_width", "filters per group in bottlenecks if the stage has 64", group_width}};
}

constexpr const char* kPaper = "He et al. 2016, arXiv:1512.03385";

ModelEntry large(const std::string& name, const std::string& description, const Integers& blocks,
                 bool bottleneck, const Integers& small_blocks) {
  return {.name = name,
          .description = description,
          .paper = kPaper,
          .keys = keys(blocks, {64, 128, 256, 512}, bottleneck, "imagenet", "projection"),
          .build = build_resnet,
          .standard = zoo::imagenet(),
          .small = zoo::classes({18, 17, 3}, 4,
                                {{"blocks", small_blocks}, {"filters", Integers(small_blocks.size(), 4)}})};
}

ModelEntry cifar(const std::string& name, const std::string& description, int64_t blocks,
                 const Integers& small_blocks) {
  return {.name = name,
          .description = description,
          .paper = std::string(kPaper) + ", section 4.2",
          .keys = keys({blocks, blocks, blocks}, {16, 32, 64}, false, "cifar", "padding"),
          .build = build_resnet,
          .standard = zoo::classes({32, 32, 3}, 10),
          .small = zoo::classes({7, 8, 3}, 4, {{"blocks", small_blocks}, {"filters", Integers{3, 4, 6}}})};
}

}  // namespace

std::vector<ModelEntry> zoo::resnet_models() {
  const std::string basic = "residual network of 3x3 convolutions", deep = "residual network of bottlenecks";
  ModelEntry resnext =
      large("resnext50_32x4d", "ResNet-50 with convolutions in 32 groups", {3, 4, 6, 3}, true, {1, 2});
  resnext.paper = "Xie et al. 2017, arXiv:1611.05431";
  resnext.keys = keys({3, 4, 6, 3}, {64, 128, 256, 512}, true, "imagenet", "projection", 32, 4);
  resnext.small.keys["groups"] = int64_t{2};
  resnext.small.keys["group_width"] = int64_t{32};
  ModelEntry wide = large("wide_resnet50_2", "ResNet-50 with twice the filters in 3x3 convolutions",
                          {3, 4, 6, 3}, true, {1, 1});
  wide.paper = "Zagoruyko and Komodakis 2016, arXiv:1605.07146";
  wide.keys = keys({3, 4, 6, 3}, {64, 128, 256, 512}, true, "imagenet", "projection", 1, 128);
  ModelEntry signals = large("resnet1d", "residual network of convolutions along signals, 18 layers",
                             {2, 2, 2, 2}, false, {1, 2});
  signals.standard = zoo::classes({4096, 1}, 2);
  signals.small.input.shape = {37, 2};
  return {large("resnet18", basic + ", 18 layers", {2, 2, 2, 2}, false, {1, 2}),
          large("resnet34", basic + ", 34 layers", {3, 4, 6, 3}, false, {2, 1}),
          large("resnet50", deep + ", 50 layers", {3, 4, 6, 3}, true, {1, 2}),
          large("resnet101", deep + ", 101 layers", {3, 4, 23, 3}, true, {2, 1}),
          large("resnet152", deep + ", 152 layers", {3, 8, 36, 3}, true, {1, 1}),
          resnext,
          wide,
          cifar("resnet20", "residual network for small images, 20 layers", 3, {1, 1, 1}),
          cifar("resnet56", "residual network for small images, 56 layers", 9, {1, 2, 1}),
          signals};
}

}  // namespace lockstep
