#include <fmt/format.h>

#include <utility>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// Padded convolutions with batch norm, so that the output is as large as the input, under the names of the
/// most used implementation in PyTorch (github.com/milesial/Pytorch-UNet). Works on images and on volumes.
class UNet {
 public:
  explicit UNet(const ModelRequest& request)
      : request_(request),
        axes_(request.input.shape.rank() - 1),
        up_(request.choice("up", {"transposed", "linear", "nearest"})),
        graph_(request.input, request.seed) {
    if (axes_ != 2 && axes_ != 3)
      fail(ExitCode::usage,
           "works on images (height, width, channels) or volumes (depth, height, width, "
           "channels).");
    zoo::check_output_positions(request);
  }

  Graph build() {
    const Integers& filters = request_.list("filters", 2, 8);
    const size_t last = filters.size() - 1;
    // Interpolation keeps the number of channels, so the layers below it have half as many.
    const int64_t factor = up_ == "transposed" ? 1 : 2;
    std::vector<int> skips{add_double(0, "inc", filters[0], filters[0])};
    for (size_t level = 1; level <= last; ++level) {
      const std::string name = fmt::format("down{}.maxpool_conv", level);
      const int pooled = graph_.add(name + ".0", zoo::max_pool(request_.input.shape), {skips.back()});
      const int64_t count = level == last ? filters[level] / factor : filters[level];
      skips.push_back(add_double(pooled, name + ".1", count, count));
    }
    int value = skips.back();
    for (size_t level = last; level-- > 0;) {
      const std::string name = fmt::format("up{}", last - level);
      value = add_up(value, skips[level], name + ".up", filters[level]);
      const int64_t channels = graph_.shape(value)[-1];
      const int64_t outputs = level > 0 ? filters[level] / factor : filters[level];
      value = add_double(value, name + ".conv", channels / 2, outputs);
    }
    if (const double rate = request_.number("dropout"); rate != 0)
      graph_.add("dropout", layers::dropout({.rate = rate}));
    graph_.add("outc.conv",
               conv({.filters = request_.output.width, .kernel = 1, .init = Init::kaiming_torch}));
    return std::move(graph_);
  }

 private:
  NewLayer conv(const ConvOptions& options) const { return zoo::conv(request_.input.shape, options); }

  /// Twice a 3x3 convolution, batch norm and ReLU.
  int add_double(int input, const std::string& name, int64_t first, int64_t second) {
    const bool norm = request_.flag("batch_norm");
    const auto module = [&](int number) { return fmt::format("{}.double_conv.{}", name, number); };
    int value = input;
    for (const auto& [number, filters] : {std::pair{0, first}, std::pair{3, second}}) {
      value = graph_.add(
          module(number),
          conv({.filters = filters, .kernel = 3, .padding = 1, .bias = !norm, .init = Init::kaiming_torch}),
          {value});
      if (norm) value = graph_.add(module(number + 1), layers::batch_norm());
      value = graph_.add(module(number + 2), layers::relu());
    }
    return value;
  }

  /// Doubles the extents, adds zeros where the skip is larger by one, and joins both.
  int add_up(int input, int skip, const std::string& name, int64_t filters) {
    int value =
        up_ == "transposed"
            ? graph_.add(name,
                         zoo::conv_transpose(
                             request_.input.shape,
                             {.filters = filters, .kernel = 2, .stride = 2, .init = Init::kaiming_torch}),
                         {input})
            : graph_.add(name, layers::upsample({.factor = 2, .linear = up_ == "linear"}), {input});
    // Pooling has dropped at most one row, which the zeros stand for.
    const auto missing = [&](int axis) { return graph_.shape(skip)[axis] - graph_.shape(value)[axis]; };
    const Extents after =
        axes_ == 2 ? Extents{missing(0), missing(1)} : Extents{missing(0), missing(1), missing(2)};
    if (after[0] + after[1] + (axes_ == 2 ? 0 : after[2]) > 0)
      value = graph_.add(name + "_pad", layers::pad({.after = after}));
    return graph_.add(name + "_concat", layers::concat(), {skip, value});
  }

  const ModelRequest& request_;
  int axes_;
  std::string up_;
  Graph graph_;
};

Graph build_unet(const ModelRequest& request) { return UNet(request).build(); }

std::vector<ModelKey> keys(const Integers& filters) {
  return {{"filters", "filters of each level; each level but the first halves the extents", filters},
          {"up", "how extents double: transposed (convolution), linear (interpolation) or nearest",
           std::string("transposed")},
          {"batch_norm", "batch norm after each 3x3 convolution", true},
          {"dropout", "probability of zero before the last layer", 0.0}};
}

}  // namespace

std::vector<ModelEntry> zoo::unet_models() {
  const std::string description = "convolutions down to few positions and up again, with a class at each ";
  return {{.name = "unet",
           .description = description + "pixel",
           .paper = "Ronneberger et al. 2015, arXiv:1505.04597",
           .keys = keys({64, 128, 256, 512, 1024}),
           .build = build_unet,
           .standard = {{DType::f32, {256, 256, 3}}, {2, {256, 256}}},
           .small = {{DType::f32, {9, 10, 2}}, {3, {9, 10}}, {{"filters", Integers{3, 4, 6}}}}},
          {.name = "unet3d",
           .description = description + "voxel",
           .paper = "Cicek et al. 2016, arXiv:1606.06650",
           .keys = keys({32, 64, 128, 256}),
           .build = build_unet,
           .standard = {{DType::f32, {64, 64, 64, 1}}, {2, {64, 64, 64}}},
           .small = {{DType::f32, {5, 4, 6, 2}}, {3, {5, 4, 6}}, {{"filters", Integers{3, 4}}}}}};
}

}  // namespace lockstep
