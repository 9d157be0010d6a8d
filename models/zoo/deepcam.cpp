#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// A block of Xception: separable convolutions with batch norm, added to a shortcut.
struct XceptionBlock {
  Integers filters;  ///< of each separable convolution that has a batch norm
  int64_t dilation = 1;
  bool begins_with_relu = true;
  bool ends_with_convolution = false;  ///< one more, which is not dilated and has no batch norm
  int64_t stride = 1;                  ///< of that convolution
};

/// DeepLabv3+ with the names, strides and activations of MLPerf HPC's reference in PyTorch
/// (github.com/azrael417/mlperf-deepcam, src/deepCam/architecture/deeplab_xception.py).
class DeepCam {
 public:
  explicit DeepCam(const ModelRequest& request)
      : request_(request),
        output_stride_(request.integer("output_stride")),
        decoder_filters_(request.integer("decoder_filters")),
        graph_(request.input, request.seed) {
    if (request.input.shape.rank() != 3) fail(ExitCode::usage, "works on images (height, width, channels).");
    zoo::check_output_positions(request);
    if (output_stride_ != 8 && output_stride_ != 16)
      fail(ExitCode::usage, "model.output_stride = {} must be 8 or 16.", output_stride_);
  }

  Graph build() {
    const int features = add_backbone();
    // The reference's ReLUs work in place: the one that begins block2 changes the output of block1 for the
    // decoder, too.
    const int low_level = graph_.find("xception_features.block2.rep.0") + 1;
    const int context = add_pyramid(features);
    const int reduced = add_conv_norm_relu(low_level, "conv2", "bn2", "relu2",
                                           {.filters = request_.integer("low_level_filters"), .kernel = 1});
    add_decoder(context, reduced);
    return std::move(graph_);
  }

 private:
  // Layers start as in the reference: the backbone and the dilated convolutions as in He et al. 2015, the
  // others with PyTorch's default.

  int add_conv_norm(int input, const std::string& conv, const std::string& norm, ConvOptions options,
                    Init init) {
    options.bias = false;
    options.init = init;
    graph_.add(conv, layers::conv2d(options), {input});
    return graph_.add(norm, layers::batch_norm());
  }

  int add_conv_norm_relu(int input, const std::string& conv, const std::string& norm, const std::string& relu,
                         const ConvOptions& options, Init init = Init::kaiming_torch) {
    add_conv_norm(input, conv, norm, options, init);
    return graph_.add(relu, layers::relu());
  }

  /// A 3x3 filter for each channel, then a 1x1 convolution.
  int add_separable(int input, const std::string& name, int64_t filters, int64_t dilation,
                    int64_t stride = 1) {
    const int64_t channels = graph_.shape(input)[-1];
    graph_.add(name + ".conv1",
               layers::conv2d({.filters = channels,
                               .kernel = 3,
                               .stride = stride,
                               .padding = dilation,
                               .dilation = dilation,
                               .groups = channels,
                               .bias = false,
                               .init = Init::he_normal}),
               {input});
    return graph_.add(
        name + ".pointwise",
        layers::conv2d({.filters = filters, .kernel = 1, .bias = false, .init = Init::he_normal}));
  }

  int add_block(int input, int number, const XceptionBlock& block) {
    const std::string name = fmt::format("xception_features.block{}", number);
    int count = 0;
    const auto next = [&] { return fmt::format("{}.rep.{}", name, count++); };
    // The reference's ReLU works in place, so the shortcut reads its output as well.
    if (block.begins_with_relu) input = graph_.add(next(), layers::relu(), {input});
    int value = input;
    for (size_t i = 0; i < block.filters.size(); ++i) {
      if (i > 0) value = graph_.add(next(), layers::relu());
      add_separable(value, next(), block.filters[i], block.dilation);
      value = graph_.add(next(), layers::batch_norm());
    }
    const int64_t filters = block.filters.back();
    if (block.ends_with_convolution) value = add_separable(value, next(), filters, 1, block.stride);
    int shortcut = input;
    if (graph_.shape(input)[-1] != filters || block.stride != 1)
      shortcut = add_conv_norm(input, name + ".skip", name + ".skipbn",
                               {.filters = filters, .kernel = 1, .stride = block.stride}, Init::he_normal);
    return graph_.add(name + ".add", layers::add(), {value, shortcut});
  }

  /// Xception with dilations instead of the strides that it has beyond the output stride.
  int add_backbone() {
    const Integers& entry_filters = request_.list("filters", 5, 5);
    const Integers& exit_filters = request_.list("exit_filters", 4, 4);
    const int64_t middle_blocks = request_.integer("middle_blocks");
    if (middle_blocks < 0)
      fail(ExitCode::usage, "model.middle_blocks = {} must be at least 0.", middle_blocks);
    const int64_t dilation = 16 / output_stride_, width = entry_filters[4];
    const auto stem = [&](int input, int number, int64_t filters, int64_t stride) {
      const std::string name = "xception_features.";
      return add_conv_norm_relu(input, fmt::format("{}conv{}", name, number),
                                fmt::format("{}bn{}", name, number), fmt::format("{}relu{}", name, number),
                                {.filters = filters, .kernel = 3, .stride = stride, .padding = 1},
                                Init::he_normal);
    };
    int value = stem(stem(0, 1, entry_filters[0], 2), 2, entry_filters[1], 1);
    for (int number = 1; number <= 3; ++number) {
      const int64_t filters = entry_filters[static_cast<size_t>(number) + 1];
      value = add_block(value, number,
                        {.filters = {filters, filters},
                         .begins_with_relu = number > 1,
                         .ends_with_convolution = true,
                         .stride = number == 3 ? output_stride_ / 8 : 2});
    }
    int number = 4;
    for (int64_t i = 0; i < middle_blocks; ++i)
      value = add_block(value, number++, {.filters = {width, width, width}, .dilation = dilation});
    value =
        add_block(value, number,
                  {.filters = {width, exit_filters[0]}, .dilation = dilation, .ends_with_convolution = true});
    for (int i = 3; i <= 5; ++i) {
      add_separable(value, fmt::format("xception_features.conv{}", i),
                    exit_filters[static_cast<size_t>(i) - 2], 2 * dilation);
      graph_.add(fmt::format("xception_features.bn{}", i), layers::batch_norm());
      value = graph_.add(fmt::format("xception_features.relu{}", i), layers::relu());
    }
    return value;
  }

  /// Atrous spatial pyramid pooling: convolutions that are dilated by different rates, and the mean of the
  /// image, side by side.
  int add_pyramid(int features) {
    const Integers& rates = request_.list("rates", 1, 8);
    Integers dilations{1};
    for (const int64_t rate : rates) dilations.push_back(rate * 16 / output_stride_);
    std::vector<int> branches;
    for (size_t i = 0; i < dilations.size(); ++i) {
      const std::string name = fmt::format("aspp{}", i + 1);
      const int64_t dilation = dilations[i];
      const ConvOptions options{.filters = decoder_filters_,
                                .kernel = i == 0 ? 1 : 3,
                                .padding = i == 0 ? 0 : dilation,
                                .dilation = dilation};
      branches.push_back(add_conv_norm_relu(features, name + ".atrous_convolution", name + ".bn",
                                            name + ".relu", options, Init::he_normal));
    }
    const std::string name = "global_avg_pool.global_average_pool";
    graph_.add(name + ".0", layers::adaptive_average_pool2d({.output = 1}), {features});
    graph_.add(name + ".1",
               layers::conv2d(
                   {.filters = decoder_filters_, .kernel = 1, .bias = false, .init = Init::kaiming_torch}));
    // Batch norm of one position would normalize over very few values: the reference has a trained scale and
    // shift of each channel in its place.
    graph_.add(
        name + ".2",
        layers::conv2d(
            {.filters = decoder_filters_, .kernel = 1, .groups = decoder_filters_, .init = Init::ones}));
    graph_.add(name + ".3", layers::relu());
    const Shape extents = graph_.shape(features);
    branches.push_back(
        graph_.add("global_avg_pool.repeat", layers::upsample({.factor = {extents[0], extents[1]}})));
    const int joined = graph_.add("aspp_concat", layers::concat(), branches);
    return add_conv_norm_relu(joined, "conv1", "bn1", "relu1", {.filters = decoder_filters_, .kernel = 1});
  }

  /// Transposed convolutions up to the size of the image; the low-level features join them at stride 4.
  void add_decoder(int context, int low_level) {
    add_larger(context, "upsample.deconv1.0", decoder_filters_, 8);
    add_norm_relu("upsample.deconv1", 1);
    add_larger(graph_.output(), "upsample.deconv1.3", decoder_filters_, 4);
    const int enlarged = add_norm_relu("upsample.deconv1", 4);
    int value = graph_.add("upsample.concat", layers::concat(), {enlarged, low_level});
    for (const int number : {0, 3}) {
      const auto module = [&](int i) { return fmt::format("upsample.conv1.{}", number + i); };
      value = add_conv_norm_relu(value, module(0), module(1), module(2),
                                 {.filters = decoder_filters_, .kernel = 3, .padding = 1});
    }
    value =
        graph_.add("upsample.conv1.6",
                   layers::conv2d({.filters = decoder_filters_, .kernel = 1, .init = Init::kaiming_torch}));
    add_larger(value, "upsample.deconv2.0", decoder_filters_, 2);
    value = add_norm_relu("upsample.deconv2", 1);
    add_larger(value, "upsample.last_deconv.0", request_.output.width, 1);
  }

  /// Batch norm and ReLU of the newest value, as modules `number` and `number + 1` of a list.
  int add_norm_relu(const std::string& list, int number) {
    graph_.add(fmt::format("{}.{}", list, number), layers::batch_norm());
    return graph_.add(fmt::format("{}.{}", list, number + 1), layers::relu());
  }

  /// A transposed 3x3 convolution to the extents that the image has at a stride. Where these are odd, the
  /// output ends one element earlier than the reference's, which is for multiples of 16.
  void add_larger(int input, const std::string& name, int64_t filters, int64_t stride) {
    const int64_t step = stride == 8 ? output_stride_ / 8 : 2;
    const auto missing = [&](int axis) {
      const int64_t wanted = (request_.input.shape[axis] + stride - 1) / stride;
      return wanted - ((graph_.shape(input)[axis] - 1) * step + 1);
    };
    graph_.add(name,
               layers::conv_transpose2d({.filters = filters,
                                         .kernel = 3,
                                         .stride = step,
                                         .padding = 1,
                                         .output_padding = {missing(0), missing(1)},
                                         .bias = false,
                                         .init = Init::kaiming_torch}),
               {input});
  }

  const ModelRequest& request_;
  int64_t output_stride_, decoder_filters_;
  Graph graph_;
};

Graph build_deepcam(const ModelRequest& request) { return DeepCam(request).build(); }

}  // namespace

std::vector<ModelEntry> zoo::deepcam_models() {
  return {
      {.name = "deepcam",
       .description = "DeepLabv3+ on Xception: dilated separable convolutions, with a class at each pixel",
       .paper = "Chen et al. 2018, arXiv:1802.02611; Kurth et al. 2018, arXiv:1810.01993",
       .keys = {{"output_stride", "pixels per position of the deepest features: 16 or 8", int64_t{16}},
                {"filters", "filters of the first two convolutions and of the first three blocks",
                 Integers{32, 64, 128, 256, 728}},
                {"middle_blocks", "blocks of the middle flow, whose shape stays", int64_t{16}},
                {"exit_filters", "filters of the last block and of the three convolutions behind it",
                 Integers{1024, 1536, 1536, 2048}},
                {"rates", "dilations of the 3x3 convolutions side by side; doubled at an output stride of 8",
                 Integers{6, 12, 18}},
                {"decoder_filters", "filters of each convolution behind the backbone", int64_t{256}},
                {"low_level_filters", "channels of the features at stride 4 that the decoder reads",
                 int64_t{48}}},
       .build = build_deepcam,
       .standard = {{DType::f32, {768, 1152, 16}}, {3, {768, 1152}}},
       .small = {{DType::f32, {17, 36, 2}},
                 {3, {17, 36}},
                 {{"filters", Integers{3, 4, 4, 5, 6}},
                  {"middle_blocks", int64_t{1}},
                  {"exit_filters", Integers{7, 6, 5, 8}},
                  {"rates", Integers{2, 1}},
                  {"decoder_filters", int64_t{4}},
                  {"low_level_filters", int64_t{3}}}}}};
}

}  // namespace lockstep
