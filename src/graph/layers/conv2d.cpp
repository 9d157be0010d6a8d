#include "src/graph/layers/conv2d.h"

#include <optional>

#include "src/graph/layers/shapes.h"
#include "src/ops/conv/conv2d.h"

namespace lockstep {

namespace {

class Conv2dLayer final : public Layer {
 public:
  explicit Conv2dLayer(const Conv2dOptions& options) : options_(options) {}

  std::string kind() const override { return "conv2d"; }

  std::string describe() const override {
    const Conv2dOptions& o = options_;
    std::string text =
        fmt::format("{} filters {}x{}, stride {}", o.filters, o.kernel[0], o.kernel[1], in_words(o.stride));
    if (o.padding[0] + o.padding[1] > 0) text += ", padding " + in_words(o.padding);
    if (o.dilation[0] * o.dilation[1] > 1) text += ", dilation " + in_words(o.dilation);
    if (o.groups > 1) text += fmt::format(", {} groups", o.groups);
    return text + (o.bias ? "" : ", no bias");
  }

  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<Conv2dLayer>(options_);
    copy->input_ = input_;
    return copy;
  }

  Value infer(std::span<const Value> inputs) override {
    const Conv2dOptions& o = options_;
    input_ = image_input(inputs);
    check_axes("kernel", o.kernel, 2);
    check_axes("stride", o.stride, 2);
    check_axes("padding", o.padding, 2);
    check_axes("dilation", o.dilation, 2);
    if (input_[2] % o.groups != 0 || o.filters % o.groups != 0)
      fail(ExitCode::usage, "{} input channels and {} filters do not both divide into {} groups.", input_[2],
           o.filters, o.groups);
    check_window_fits(o.dilation[0] * o.dilation[1] > 1 ? "dilated kernel" : "kernel",
                      o.dilation[0] * (o.kernel[0] - 1) + 1, o.dilation[1] * (o.kernel[1] - 1) + 1,
                      o.padding[0], o.padding[1], input_);
    const Conv2dSpec shapes = spec(1);
    return {DType::f32, {shapes.out_h(), shapes.out_w(), o.filters}};
  }

  std::vector<ParameterSpec> parameters() const override {
    const Conv2dOptions& o = options_;
    const int64_t positions = o.kernel[0] * o.kernel[1];
    const int64_t fan_in = positions * input_[2] / o.groups;
    const int64_t fan_out = positions * o.filters;  // not divided by the groups, as in PyTorch and Keras
    const ParameterSpec weight{.name = "weight",
                               .shape = {o.filters, o.kernel[0], o.kernel[1], input_[2] / o.groups},
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
    return {.backward_reads_input = true, .applies_relu = true, .skips_frozen = true};
  }

  int64_t flops() const override {
    const Conv2dSpec shapes = spec(1);
    return 2 * shapes.out_h() * shapes.out_w() * shapes.k * shapes.r * shapes.s * shapes.c / shapes.groups;
  }

  void prepare(const Preparation& preparation) override {
    Conv2dSpec shapes = spec(preparation.samples);
    shapes.needs_dx = preparation.needs_input_gradient;
    shapes.relu = preparation.relu;
    op_.emplace(preparation.exec, shapes);
  }

  size_t workspace_bytes() const override { return op_->workspace_bytes(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0], context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, context.output, context.workspace);
  }

  void backward(const LayerContext& context) override {
    op_->backward(context.inputs[0], context.parameters[0], context.output_gradient,
                  context.input_gradients[0], context.parameter_gradients[0],
                  options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
  }

 private:
  Conv2dSpec spec(int64_t n) const {
    const Conv2dOptions& o = options_;
    Conv2dSpec spec;
    spec.n = n, spec.h = input_[0], spec.w = input_[1], spec.c = input_[2];
    spec.k = o.filters, spec.r = o.kernel[0], spec.s = o.kernel[1];
    spec.stride_h = o.stride[0], spec.stride_w = o.stride[1];
    spec.pad_h = o.padding[0], spec.pad_w = o.padding[1];
    spec.dilation_h = o.dilation[0], spec.dilation_w = o.dilation[1];
    spec.groups = o.groups, spec.bias = o.bias;
    return spec;
  }

  Conv2dOptions options_;
  Shape input_;
  std::optional<Conv2d> op_;
};

}  // namespace

namespace layers {
const Description<Conv2dOptions> conv2d = {
    "conv2d",
    "two-dimensional convolution of images",
    {{"filters", &Conv2dOptions::filters, "channels of the output", at_least(1), true, true},
     {"kernel", &Conv2dOptions::kernel, "height and width of the filters", at_least(1), true},
     {"stride", &Conv2dOptions::stride, "steps between positions", at_least(1)},
     {"padding", &Conv2dOptions::padding, "rows and columns of zeros around the image", at_least(0)},
     {"dilation", &Conv2dOptions::dilation, "distance between the elements of a filter", at_least(1)},
     {"groups", &Conv2dOptions::groups, "independent groups that the channels are divided into", at_least(1)},
     {"bias", &Conv2dOptions::bias, "add a bias"},
     {"init", &Conv2dOptions::init, "initializer of the weight"}},
    make_layer<Conv2dLayer>};
}  // namespace layers

}  // namespace lockstep
