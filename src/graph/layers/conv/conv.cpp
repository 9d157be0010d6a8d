#include "src/graph/layers/conv/conv.h"

#include <optional>
#include <vector>

#include "src/graph/layers/pointwise/bias.h"
#include "src/graph/layers/shapes.h"
#include "src/graph/layers/windows.h"
#include "src/ops/conv/conv.h"

namespace lockstep {

namespace {

/// What the convolutions of this file differ in.
struct ConvKind {
  const char* name;
  int axes;
  bool transposed = false;
};

/// Elements of one filter for one channel.
constexpr int64_t kMaxTaps = int64_t{1} << 20;

class ConvLayer final : public Layer {
 public:
  ConvLayer(const ConvKind& kind, const ConvOptions& options) : kind_(kind), options_(options) {}

  std::string kind() const override { return kind_.name; }

  std::string describe() const override {
    const ConvOptions& o = options_;
    const int axes = kind_.axes;
    std::string text =
        fmt::format("{} filters {}, stride {}", o.filters, joined(o.kernel, axes), in_words(o.stride, axes));
    if (o.padding.is_same())
      text += ", padding same";
    else if (has_any(o.padding.extents(), axes))
      text += ", padding " + in_words(o.padding.extents(), axes);
    if (has_any(o.output_padding, axes)) text += ", output padding " + in_words(o.output_padding, axes);
    if (is_dilated()) text += ", dilation " + in_words(o.dilation, axes);
    if (o.groups > 1) text += fmt::format(", {} groups", o.groups);
    return text + (o.bias ? "" : ", no bias");
  }

  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<ConvLayer>(kind_, options_);
    copy->spec_ = spec_;
    return copy;
  }

  Value infer(std::span<const Value> inputs) override {
    const ConvOptions& o = options_;
    const int axes = kind_.axes;
    const Shape& input = spatial_input(inputs, axes);
    check_axes("kernel", o.kernel, axes);
    check_axes("stride", o.stride, axes);
    check_axes("padding", o.padding.extents(), axes);
    check_axes("output_padding", o.output_padding, axes);
    check_axes("dilation", o.dilation, axes);
    if (!kind_.transposed && has_any(o.output_padding, axes))
      fail(ExitCode::usage, "output_padding is an option of transposed convolutions only.");
    if (input[-1] % o.groups != 0 || o.filters % o.groups != 0)
      fail(ExitCode::usage, "{} input channels and {} filters do not both divide into {} groups.", input[-1],
           o.filters, o.groups);
    spec_ = {.samples = 1,
             .channels = kind_.transposed ? o.filters : input[-1],
             .filters = kind_.transposed ? input[-1] : o.filters,
             .axes = ConvAxes(axes),
             .groups = o.groups,
             .transposed = kind_.transposed,
             .bias = o.bias};
    double taps = 1;
    for (int axis = 0; axis < axes; ++axis) {
      ConvAxis& it = spec_.axes[axis];
      it = {.window = o.kernel[axis], .stride = o.stride[axis], .dilation = o.dilation[axis]};
      taps *= static_cast<double>(it.window);
      it.extent = kind_.transposed ? transposed_extent(input[axis], axis) : input[axis];
      const Sides padding = sides_of(o.padding, axis, it.extent, it.span(), it.stride);
      it.pad_before = padding.before;
      it.pad_after = padding.after;
    }
    if (taps > static_cast<double>(kMaxTaps))
      fail(ExitCode::usage, "kernel {} has more than {} elements.", joined(o.kernel, axes), kMaxTaps);
    check_output(input);
    return {DType::f32, spec_.output().sample()};
  }

  std::vector<ParameterSpec> parameters() const override {
    const ConvOptions& o = options_;
    const int64_t positions = spec_.taps();
    // As in PyTorch and Keras: fan_out is not divided by the groups, and the weight of a transposed
    // convolution has the fans of the convolution that it transposes.
    const int64_t fan_in = positions * spec_.channels / o.groups;
    const int64_t fan_out = positions * spec_.filters;
    const ParameterSpec weight{.name = "weight",
                               .shape = spec_.weights(),
                               .init = o.init,
                               .fan_in = fan_in,
                               .fan_out = fan_out,
                               .channels_last_filter = true};
    if (!o.bias) return {weight};
    // PyTorch draws the bias from the bounds of the weight; all others start at zero.
    const Init init = o.init == Init::kaiming_torch ? Init::kaiming_torch : Init::zeros;
    return {weight, {"bias", {o.filters}, init, fan_in, fan_out, false}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true,
            .applies_relu = true,
            .adds_to_gradient = true,
            .gives_sums = !options_.bias && !kind_.transposed,
            .skips_frozen = true};
  }

  int64_t flops() const override { return spec_.flops(); }

  WithoutBias without_bias() const override {
    if (!options_.bias) return {};
    auto layer = std::make_unique<ConvLayer>(kind_, options_);
    layer->options_.bias = false;
    layer->spec_ = spec_;
    layer->spec_.bias = false;
    return {std::move(layer), make_bias(parameters()[1])};
  }

  void prepare(const Preparation& preparation) override {
    ConvSpec spec = spec_;
    spec.samples = preparation.samples;
    spec.needs_dx = preparation.needs_input_gradient;
    spec.adds_to_dx = preparation.adds_to_gradient;
    spec.relu = preparation.activation == Activation::relu;
    spec.sums = preparation.sums;
    spec.type = preparation.type;
    spec.tf32 = preparation.tf32;
    op_.emplace(preparation.exec, spec);
  }

  size_t workspace_bytes() const override { return op_->workspace_bytes(); }
  bool gives_sums() const override { return op_->gives_sums(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0], context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, context.output, context.workspace,
                 context.output_sums);
  }

  void backward(const LayerContext& context) override {
    op_->backward(context.inputs[0], context.parameters[0], context.output, context.output_gradient,
                  context.input_gradients[0], context.parameter_gradients[0],
                  options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
  }

 private:
  bool is_dilated() const {
    for (const ConvAxis& axis : spec_.axes)
      if (axis.dilation > 1) return true;
    return false;
  }

  /// The extent of a transposed convolution's output. The convolution that it transposes gives `input`
  /// outputs there.
  int64_t transposed_extent(int64_t input, int axis) const {
    const ConvOptions& o = options_;
    const int64_t stride = o.stride[axis], more = o.output_padding[axis];
    if (more >= stride)
      fail(ExitCode::usage, "output_padding {} must be smaller than the stride {}.",
           in_words(o.output_padding, kind_.axes), in_words(o.stride, kind_.axes));
    if (!o.padding.is_same())
      return (input - 1) * stride - 2 * o.padding.extents()[axis] + spec_.axes[axis].span() + more;
    if (more > 0)
      fail(ExitCode::usage, "output_padding has no place beside padding = \"same\", which gives {} outputs.",
           input * stride);
    return input * stride;
  }

  void check_output(const Shape& input) const {
    const int axes = kind_.axes;
    const Extents& padding = options_.padding.extents();
    std::string spans, extents;
    bool fits = true;
    for (int axis = 0; axis < axes; ++axis) {
      const ConvAxis& it = spec_.axes[axis];
      if (kind_.transposed && it.extent < 1)
        fail(ExitCode::usage, "padding {} leaves nothing of the output.", joined(padding, axes));
      fits = fits && it.span() <= it.padded();
      spans += fmt::format("{}{}", axis == 0 ? "" : "x", it.span());
      extents += fmt::format("{}{}", axis == 0 ? "" : "x", input[axis]);
    }
    if (fits) return;
    const std::string around = has_any(padding, axes) ? " with its padding " + joined(padding, axes) : "";
    fail(ExitCode::usage, "{} {} is larger than the {}{} input{}.",
         is_dilated() ? "dilated kernel" : "kernel", spans, extents, axes == 1 ? "-element" : "", around);
  }

  ConvKind kind_;
  ConvOptions options_;
  ConvSpec spec_;  ///< of one sample
  std::optional<Conv> op_;
};

constexpr ConvKind kConv1d{"conv1d", 1}, kConv2d{"conv2d", 2}, kConv3d{"conv3d", 3};
constexpr ConvKind kTranspose1d{"conv_transpose1d", 1, true}, kTranspose2d{"conv_transpose2d", 2, true},
    kTranspose3d{"conv_transpose3d", 3, true};

template <const ConvKind& kKind>
std::unique_ptr<Layer> make(const ConvOptions& options, const LayerIdentity&) {
  return std::make_unique<ConvLayer>(kKind, options);
}

using Fields = std::vector<Description<ConvOptions>::Field>;

Fields fields(bool transposed) {
  Fields all = {
      {"filters", &ConvOptions::filters, "channels of the output", at_least(1), true, true},
      {"kernel", &ConvOptions::kernel, "extent of the filters along each axis", at_least(1), true},
      {"stride", &ConvOptions::stride,
       transposed ? "steps between the positions of the filters in the output" : "steps between positions",
       at_least(1)},
      {"padding", &ConvOptions::padding,
       transposed
           ? "elements cut off at both ends of each axis; \"same\": the output is stride times the input"
           : "zeros at both ends of each axis; \"same\": the output is the input divided by the stride, "
             "rounded up",
       at_least(0)},
      {"dilation", &ConvOptions::dilation, "distance between the elements of a filter", at_least(1)},
      {"groups", &ConvOptions::groups, "independent groups that the channels are divided into", at_least(1)},
      {"bias", &ConvOptions::bias, "add a bias"},
      {"init", &ConvOptions::init, "initializer of the weight"}};
  if (transposed)
    all.insert(all.begin() + 4,
               {"output_padding", &ConvOptions::output_padding,
                "elements added at the end of each axis, fewer than the stride", at_least(0)});
  return all;
}

}  // namespace

namespace layers {
const Description<ConvOptions> conv1d = {"conv1d", "one-dimensional convolution of signals", fields(false),
                                         make<kConv1d>};
const Description<ConvOptions> conv2d = {"conv2d", "two-dimensional convolution of images", fields(false),
                                         make<kConv2d>};
const Description<ConvOptions> conv3d = {"conv3d", "three-dimensional convolution of volumes", fields(false),
                                         make<kConv3d>};
const Description<ConvOptions> conv_transpose1d = {
    "conv_transpose1d", "transposed convolution, which enlarges signals", fields(true), make<kTranspose1d>};
const Description<ConvOptions> conv_transpose2d = {
    "conv_transpose2d", "transposed convolution, which enlarges images", fields(true), make<kTranspose2d>};
const Description<ConvOptions> conv_transpose3d = {
    "conv_transpose3d", "transposed convolution, which enlarges volumes", fields(true), make<kTranspose3d>};
}  // namespace layers

}  // namespace lockstep
