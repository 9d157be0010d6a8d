#include "models/file/layer_kinds.h"

#include <fmt/format.h>

#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

using Pair = std::array<int64_t, 2>;

constexpr std::pair<const char*, Init> kInitializers[] = {
    {"zeros", Init::zeros},
    {"ones", Init::ones},
    {"glorot_uniform", Init::glorot_uniform},
    {"glorot_normal", Init::glorot_normal},
    {"he_uniform", Init::he_uniform},
    {"he_normal", Init::he_normal},
    {"kaiming_torch", Init::kaiming_torch},
};

Init initializer(const LayerArguments& arguments) {
  for (const auto& [name, init] : kInitializers)
    if (arguments.get<std::string>("init") == name) return init;
  fail(ExitCode::bug, "initializer '{}' passed the parser", arguments.get<std::string>("init"));
}

std::unique_ptr<Layer> linear(const LayerArguments& a) {
  return make_linear({a.get<int64_t>("outputs"), a.get<bool>("bias"), initializer(a)});
}

std::unique_ptr<Layer> conv2d(const LayerArguments& a) {
  const auto [kernel_h, kernel_w] = a.get<Pair>("kernel");
  const auto [stride_h, stride_w] = a.get<Pair>("stride");
  const auto [pad_h, pad_w] = a.get<Pair>("padding");
  const auto [dilation_h, dilation_w] = a.get<Pair>("dilation");
  return make_conv2d({a.get<int64_t>("filters"), kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w,
                      dilation_h, dilation_w, a.get<int64_t>("groups"), a.get<bool>("bias"), initializer(a)});
}

Pool2dOptions pooling(const LayerArguments& a) {
  const auto [window_h, window_w] = a.get<Pair>("window");
  const auto [stride_h, stride_w] = a.get<Pair>("stride");
  const auto [pad_h, pad_w] = a.get<Pair>("padding");
  return {window_h, window_w, stride_h, stride_w, pad_h, pad_w};
}

std::unique_ptr<Layer> max_pool2d(const LayerArguments& a) { return make_max_pool2d(pooling(a)); }
std::unique_ptr<Layer> average_pool2d(const LayerArguments& a) { return make_average_pool2d(pooling(a)); }
std::unique_ptr<Layer> global_average_pool(const LayerArguments&) { return make_global_average_pool(); }
std::unique_ptr<Layer> bias(const LayerArguments&) { return make_bias(); }
std::unique_ptr<Layer> add(const LayerArguments&) { return make_add(); }
std::unique_ptr<Layer> flatten(const LayerArguments&) { return make_flatten(); }

template <Activation kActivation>
std::unique_ptr<Layer> activation(const LayerArguments&) {
  return make_activation(kActivation);
}

std::unique_ptr<Layer> batch_norm(const LayerArguments& a) {
  return make_batch_norm({a.get<double>("momentum"), a.get<double>("epsilon")});
}

std::unique_ptr<Layer> dropout(const LayerArguments& a) {
  return make_dropout(a.name, a.get<double>("rate"), a.seed);
}

}  // namespace

const std::vector<std::string>& initializer_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const auto& entry : kInitializers) result.emplace_back(entry.first);
    return result;
  }();
  return names;
}

const std::vector<LayerKind>& layer_kinds() {
  using enum OptionType;
  static const LayerOption with_bias = {"bias", "whether a bias is added", flag, true};
  static const LayerOption init = {"init", "how the weight starts", initializer, "glorot_uniform"};
  static const std::vector<LayerOption> pooling_options = {
      {"window", "height and width", pair, Pair{2, 2}},
      {"stride", "steps between windows; 0 is the window's size", pair, Pair{0, 0}},
      {"padding", "rows and columns around the image that do not count", pair, Pair{0, 0}}};
  static const std::vector<LayerKind> kinds = {
      {"linear",
       "every output is a weighted sum of all inputs",
       {{"outputs", "how many", width, std::nullopt}, with_bias, init},
       linear},
      {"conv2d",
       "two-dimensional convolution of images",
       {{"filters", "channels of the output", width, std::nullopt},
        {"kernel", "height and width of the filters", pair, std::nullopt},
        {"stride", "steps between positions", pair, Pair{1, 1}},
        {"padding", "rows and columns of zeros around the image", pair, Pair{0, 0}},
        {"dilation", "distance between the elements of a filter", pair, Pair{1, 1}},
        {"groups", "independent groups that the channels are divided into", count, int64_t{1}},
        with_bias,
        init},
       conv2d},
      {"max_pool2d", "the largest value of each window", pooling_options, max_pool2d},
      {"average_pool2d", "the mean of each window; padding does not count", pooling_options, average_pool2d},
      {"global_average_pool", "the mean over all positions of each channel", {}, global_average_pool},
      {"bias", "adds a trained vector along the last axis", {}, bias},
      {"relu", "max(0, x)", {}, activation<Activation::relu>},
      {"sigmoid", "1 / (1 + exp(-x))", {}, activation<Activation::sigmoid>},
      {"tanh", "hyperbolic tangent", {}, activation<Activation::tanh>},
      {"gelu", "x times the normal distribution function of x", {}, activation<Activation::gelu>},
      {"batch_norm",
       "normalizes each channel over the batch, then scales and shifts it",
       {{"momentum", "weight of a new batch in the running statistics", number, 0.1},
        {"epsilon", "added to the variance", number, 1e-5}},
       batch_norm},
      {"dropout",
       "sets values to zero at random in training",
       {{"rate", "probability of zero", number, std::nullopt}},
       dropout},
      {"add", "the sum of two inputs of one shape", {}, add},
      {"flatten", "an image as a vector: by row, column, channel, the channel fastest", {}, flatten},
  };
  return kinds;
}

const std::vector<CommonOption>& common_layer_options() {
  static const std::vector<CommonOption> options = {
      {"kind", "text", "one of the kinds below; required"},
      {"name", "text",
       "names the layer's output and parameters; else the kind and a number, as in \"conv2d_1\""},
      {"input", "a name", "the layer that it reads, or \"input\" for the data; else the layer before it"},
      {"inputs", "a list of names", "the same for a layer that reads several, such as add"},
  };
  return options;
}

const char* type_name(OptionType type) {
  switch (type) {
    case OptionType::flag:
      return "true or false";
    case OptionType::count:
      return "an integer";
    case OptionType::width:
      return "an integer or \"classes\"";
    case OptionType::pair:
      return "an integer or [height, width]";
    case OptionType::number:
      return "a number";
    case OptionType::initializer:
      return "an initializer";
  }
  return "";
}

std::string to_string(const OptionValue& value) {
  if (const auto* pair = std::get_if<std::array<int64_t, 2>>(&value))
    return (*pair)[0] == (*pair)[1] ? fmt::format("{}", (*pair)[0])
                                    : fmt::format("[{}, {}]", (*pair)[0], (*pair)[1]);
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", *text);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* count = std::get_if<int64_t>(&value)) return fmt::format("{}", *count);
  return fmt::format("{}", std::get<double>(value));
}

}  // namespace lockstep
