#include "src/graph/layers/pool/pool.h"

#include <fmt/ranges.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/graph/layers/windows.h"
#include "src/ops/pool/pool.h"

namespace lockstep {

namespace {

// Sliding and adaptive windows: one set of functions for each kind of options.

int64_t stride_of(const PoolOptions& options, int axis) {
  return options.stride[axis] == 0 ? options.window[axis] : options.stride[axis];
}

PoolAxis axis_of(const PoolOptions& options, int axis, int64_t inputs) {
  const int64_t window = options.window[axis], stride = stride_of(options, axis);
  const Sides padding = sides_of(options.padding, axis, inputs, window, stride);
  return PoolAxis::sliding(inputs, window, stride, padding.before, padding.after, options.ceil);
}

PoolAxis axis_of(const AdaptivePoolOptions& options, int axis, int64_t inputs) {
  return PoolAxis::evenly(inputs, options.output[axis]);
}

void check(const PoolOptions& options, int axes, const Shape& input) {
  check_axes("window", options.window, axes);
  check_axes("stride", options.stride, axes);
  if (options.padding.is_same()) return;
  check_axes("padding", options.padding.extents(), axes);
  const std::string window = joined(options.window, axes), padding = joined(options.padding.extents(), axes);
  for (int axis = 0; axis < axes; ++axis)
    if (options.padding.extents()[axis] >= options.window[axis])
      fail(ExitCode::usage, "padding {} must be smaller than the window {}.", padding, window);
  for (int axis = 0; axis < axes; ++axis)
    if (axis_of(options, axis, input[axis]).outputs < 1)
      fail(ExitCode::usage, "window {} is larger than the {}{} input{}.", window,
           fmt::join(input.extents().first(static_cast<size_t>(axes)), "x"), axes == 1 ? "-element" : "",
           has_any(options.padding.extents(), axes) ? fmt::format(" with its padding {}", padding) : "");
}

void check(const AdaptivePoolOptions& options, int axes, const Shape&) {
  check_axes("output", options.output, axes);
}

std::string in_words(const PoolOptions& options, int axes) {
  const Extents stride{stride_of(options, 0), stride_of(options, 1), stride_of(options, 2)};
  std::string text =
      fmt::format("window {}, stride {}", joined(options.window, axes), in_words(stride, axes));
  if (options.padding.is_same())
    text += ", padding same";
  else if (has_any(options.padding.extents(), axes))
    text += fmt::format(", padding {}", in_words(options.padding.extents(), axes));
  if (options.ceil) text += ", rounded up";
  if (options.count_padding) text += ", padding counted";
  return text;
}

std::string in_words(const AdaptivePoolOptions& options, int axes) {
  return fmt::format("output {}", joined(options.output, axes));
}

bool counts_padding(const PoolOptions& options) { return options.count_padding; }
bool counts_padding(const AdaptivePoolOptions&) { return false; }

enum class Reduction { maximum, average };

template <Reduction kReduction, int kAxes, typename Options>
class PoolLayer final : public Layer {
 public:
  explicit PoolLayer(const Options& options) : options_(options) {}

  std::string kind() const override {
    return fmt::format("{}{}_pool{}d", std::is_same_v<Options, AdaptivePoolOptions> ? "adaptive_" : "",
                       kMaximum ? "max" : "average", kAxes);
  }
  std::string describe() const override { return in_words(options_, kAxes); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<PoolLayer>(*this); }
  LayerTraits traits() const override {
    // What the ReLU cuts off is noted with the positions of the maxima.
    const bool notes_relu = kMaximum && spec_.window_size() < kMaxPoolWindow;
    return {.applies_relu = notes_relu, .recovers_relu = notes_relu, .is_maximum = kMaximum};
  }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = spatial_input(inputs, kAxes);
    check(options_, kAxes, input);
    spec_ = {.n = 1, .c = input[-1], .count_padding = counts_padding(options_)};
    std::vector<int64_t> output, windows;
    for (int axis = 0; axis < kAxes; ++axis) {
      const PoolAxis pooled = axis_of(options_, axis, input[axis]);
      output.push_back(pooled.outputs);
      windows.push_back(pooled.window);
      spec_.axes[static_cast<size_t>(Extents::kMaxAxes - kAxes + axis)] = pooled;
    }
    if (kMaximum && spec_.window_size() > kMaxPoolWindow)
      fail(ExitCode::usage, "window {} has more than {} elements, the maximum of this layer.",
           fmt::join(windows, "x"), kMaxPoolWindow);
    output.push_back(input[-1]);
    return {DType::f32, Shape(output)};
  }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    spec_.n = preparation.samples;
    spec_.relu = preparation.activation == Activation::relu;
  }

  std::vector<Value> saved() const override {
    if constexpr (kMaximum) return {{DType::u8, spec_.output_shape()}};
    return {};
  }

  void forward(const LayerContext& context) override {
    const ConstTensor x = context.inputs[0].reshaped(spec_.input_shape());
    const Tensor y = context.output.reshaped(spec_.output_shape());
    if constexpr (kMaximum)
      max_pool_forward(exec_, spec_, x, y, context.saved[0]);
    else
      average_pool_forward(exec_, spec_, x, y);
  }

  void backward(const LayerContext& context) override {
    if (!context.input_gradients[0]) return;
    const ConstTensor dy = context.output_gradient.reshaped(spec_.output_shape());
    const Tensor dx = context.input_gradients[0].reshaped(spec_.input_shape());
    if constexpr (kMaximum)
      max_pool_backward(exec_, spec_, context.saved[0], dy, dx);
    else
      average_pool_backward(exec_, spec_, dy, dx);
  }

 private:
  static constexpr bool kMaximum = kReduction == Reduction::maximum;

  Options options_;
  PoolSpec spec_;
  Exec exec_;
};

class GlobalAveragePoolLayer final : public Layer {
 public:
  std::string kind() const override { return "global_average_pool"; }
  std::string describe() const override { return "mean over all positions"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<GlobalAveragePoolLayer>(*this); }
  LayerTraits traits() const override { return {}; }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() < 2)
      fail(ExitCode::usage, "averages the positions of (..., channels), but its input is {}.",
           to_string(input.shape));
    return {input.dtype, {input.shape[-1]}};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    global_average_pool_forward(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      global_average_pool_backward(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  Exec exec_;
};

template <Reduction kReduction, int kAxes>
Description<PoolOptions> sliding(const char* kind) {
  constexpr bool kMaximum = kReduction == Reduction::maximum;
  std::vector<Description<PoolOptions>::Field> fields = {
      {"window", &PoolOptions::window, "extent along each axis", at_least(1)},
      {"stride", &PoolOptions::stride, "steps between windows; 0 is the window's size", at_least(0)},
      {"padding", &PoolOptions::padding, "ignored elements before and after each axis", at_least(0)},
      {"ceil", &PoolOptions::ceil,
       "one more window where the stride leaves elements over, cut off at the end of the input"}};
  if (!kMaximum)
    fields.push_back(
        {"count_padding", &PoolOptions::count_padding, "divide by the elements of the padding, too"});
  return {kind, kMaximum ? "largest value of each window" : "mean of each window", fields,
          make_layer<PoolLayer<kReduction, kAxes, PoolOptions>>};
}

template <Reduction kReduction, int kAxes>
Description<AdaptivePoolOptions> adaptive(const char* kind) {
  return {kind,
          kReduction == Reduction::maximum
              ? "largest value of each of a given number of windows, which cover the input evenly"
              : "mean of each of a given number of windows, which cover the input evenly",
          {{"output", &AdaptivePoolOptions::output, "windows along each axis", at_least(1), true}},
          make_layer<PoolLayer<kReduction, kAxes, AdaptivePoolOptions>>};
}

}  // namespace

namespace layers {
const Description<PoolOptions> max_pool1d = sliding<Reduction::maximum, 1>("max_pool1d"),
                               max_pool2d = sliding<Reduction::maximum, 2>("max_pool2d"),
                               max_pool3d = sliding<Reduction::maximum, 3>("max_pool3d");
const Description<PoolOptions> average_pool1d = sliding<Reduction::average, 1>("average_pool1d"),
                               average_pool2d = sliding<Reduction::average, 2>("average_pool2d"),
                               average_pool3d = sliding<Reduction::average, 3>("average_pool3d");
const Description<AdaptivePoolOptions> adaptive_max_pool1d =
                                           adaptive<Reduction::maximum, 1>("adaptive_max_pool1d"),
                                       adaptive_max_pool2d =
                                           adaptive<Reduction::maximum, 2>("adaptive_max_pool2d"),
                                       adaptive_max_pool3d =
                                           adaptive<Reduction::maximum, 3>("adaptive_max_pool3d");
const Description<AdaptivePoolOptions> adaptive_average_pool1d =
                                           adaptive<Reduction::average, 1>("adaptive_average_pool1d"),
                                       adaptive_average_pool2d =
                                           adaptive<Reduction::average, 2>("adaptive_average_pool2d"),
                                       adaptive_average_pool3d =
                                           adaptive<Reduction::average, 3>("adaptive_average_pool3d");
const Description<NoOptions> global_average_pool = {
    "global_average_pool", "mean of each channel over all positions", {}, make_layer<GlobalAveragePoolLayer>};
}  // namespace layers

}  // namespace lockstep
