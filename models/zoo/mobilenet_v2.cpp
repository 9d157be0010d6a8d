#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// A stage of table 2 of the paper.
struct Stage {
  int64_t expansion, filters, stride;
};
constexpr Stage kStages[] = {{1, 16, 1}, {6, 24, 2},  {6, 32, 2}, {6, 64, 2},
                             {6, 96, 1}, {6, 160, 2}, {6, 320, 1}};

/// Appends NAME.0, NAME.1 and NAME.2: a convolution, its norm and ReLU6.
int add_conv_norm_relu(Graph& graph, int input, const std::string& name, const ConvOptions& options) {
  zoo::add_conv_norm(graph, input, name + ".0", name + ".1", options);
  return graph.add(name + ".2", layers::relu6());
}

/// Widens, filters each channel, and narrows without an activation; with a shortcut if the shape stays.
int add_inverted_residual(Graph& graph, int input, const std::string& name, int64_t expansion,
                          int64_t filters, int64_t stride) {
  const int64_t inputs = graph.shape(input)[-1], width = inputs * expansion;
  int number = 0;  // of a module in the list NAME.conv
  const auto next = [&] { return fmt::format("{}.conv.{}", name, number++); };
  int value = input;
  if (expansion != 1) value = add_conv_norm_relu(graph, value, next(), {.filters = width, .kernel = 1});
  value = add_conv_norm_relu(
      graph, value, next(), {.filters = width, .kernel = 3, .stride = stride, .padding = 1, .groups = width});
  const std::string conv = next(), norm = next();
  value = zoo::add_conv_norm(graph, value, conv, norm, {.filters = filters, .kernel = 1});
  const bool has_shortcut = stride == 1 && inputs == filters;
  return has_shortcut ? graph.add(name + ".add", layers::add(), {input, value}) : value;
}

Graph build_mobilenet_v2(const ModelRequest& request) {
  const double width = request.number_in("width", kPositive);
  const Integers& repeats = request.list("repeats", 1, std::size(kStages));
  const int64_t divisor = request.integer("round_to"), last = request.integer("last_filters");
  if (divisor < 1) fail(ExitCode::usage, "model.round_to = {} must be at least 1.", divisor);

  Graph graph(request.input, request.seed);
  const auto filters = [&](int64_t count) { return zoo::scaled_to_multiple(count, width, divisor); };
  int value = add_conv_norm_relu(
      graph, 0, "features.0",
      {.filters = filters(32), .kernel = 3, .stride = request.integer("stem_stride"), .padding = 1});
  int number = 1;
  for (size_t stage = 0; stage < repeats.size(); ++stage) {
    const Stage& s = kStages[stage];
    for (int64_t i = 0; i < repeats[stage]; ++i)
      value = add_inverted_residual(graph, value, fmt::format("features.{}", number++), s.expansion,
                                    filters(s.filters), i == 0 ? s.stride : 1);
  }
  add_conv_norm_relu(graph, value, fmt::format("features.{}", number),
                     {.filters = zoo::scaled_to_multiple(last, std::max(1.0, width), divisor), .kernel = 1});
  graph.add("avgpool", layers::global_average_pool());
  graph.add("classifier.0", layers::dropout({.rate = request.number("dropout")}));
  graph.add("classifier.1",
            layers::linear({.outputs = request.output.elements(), .init = Init::normal, .deviation = 0.01}));
  return graph;
}

}  // namespace

std::vector<ModelEntry> zoo::mobilenet_v2_models() {
  return {{.name = "mobilenet_v2",
           .description = "inverted residuals: depthwise convolutions between narrow layers",
           .paper = "Sandler et al. 2018, arXiv:1801.04381",
           .keys = {{"width", "factor on all filters", 1.0},
                    {"repeats", "blocks of each of up to seven stages", Integers{1, 2, 3, 4, 3, 3, 1}},
                    {"last_filters", "filters of the last convolution; a width below 1 does not reduce them",
                     int64_t{1280}},
                    {"round_to", "round filters to multiples of this", int64_t{8}},
                    {"stem_stride", "stride of the first convolution; 1 for small images", int64_t{2}},
                    {"dropout", "probability of zero before the last layer", 0.2}},
           .build = build_mobilenet_v2,
           .standard = zoo::imagenet(),
           .small = zoo::classes({13, 12, 3}, 4,
                                 {{"width", 0.1},
                                  {"repeats", Integers{1, 2, 1}},
                                  {"last_filters", int64_t{10}},
                                  {"round_to", int64_t{1}}})}};
}

}  // namespace lockstep
