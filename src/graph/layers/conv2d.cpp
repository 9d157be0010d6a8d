#include "src/ops/conv/conv2d.h"

#include <optional>
#include <utility>

#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

class Conv2dLayer final : public Layer {
 public:
  explicit Conv2dLayer(const Conv2dOptions& options) : options_(options) {}

  std::string kind() const override { return "conv2d"; }

  std::string describe() const override {
    const Conv2dOptions& o = options_;
    std::string text = fmt::format("{} filters {}x{}, stride {}", o.filters, o.kernel_h, o.kernel_w,
                                   both(o.stride_h, o.stride_w));
    if (o.pad_h + o.pad_w > 0) text += ", padding " + both(o.pad_h, o.pad_w);
    if (o.dilation_h * o.dilation_w > 1) text += ", dilation " + both(o.dilation_h, o.dilation_w);
    if (o.groups > 1) text += fmt::format(", {} groups", o.groups);
    return text + (o.bias ? "" : ", no bias") + (relu_ ? ", ReLU" : "");
  }

  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<Conv2dLayer>(options_);
    copy->input_ = input_;
    copy->relu_ = relu_;
    return copy;
  }

  Shape infer(std::span<const Shape> inputs) override {
    const Conv2dOptions& o = options_;
    input_ = image_input(inputs);
    check_option("filters", o.filters, 1);
    check_option("kernel", o.kernel_h, 1);
    check_option("kernel", o.kernel_w, 1);
    check_option("stride", o.stride_h, 1);
    check_option("stride", o.stride_w, 1);
    check_option("padding", o.pad_h, 0);
    check_option("padding", o.pad_w, 0);
    check_option("dilation", o.dilation_h, 1);
    check_option("dilation", o.dilation_w, 1);
    check_option("groups", o.groups, 1);
    if (input_[2] % o.groups != 0 || o.filters % o.groups != 0)
      fail(ExitCode::usage, "{} input channels and {} filters do not both divide into {} groups.", input_[2],
           o.filters, o.groups);
    check_window_fits(o.dilation_h * o.dilation_w > 1 ? "dilated kernel" : "kernel",
                      o.dilation_h * (o.kernel_h - 1) + 1, o.dilation_w * (o.kernel_w - 1) + 1, o.pad_h,
                      o.pad_w, input_);
    const Conv2dSpec shapes = spec(1);
    return {shapes.out_h(), shapes.out_w(), o.filters};
  }

  std::vector<ParameterSpec> parameters() const override {
    const Conv2dOptions& o = options_;
    const int64_t positions = o.kernel_h * o.kernel_w;
    const int64_t fan_in = positions * input_[2] / o.groups;
    const int64_t fan_out = positions * o.filters;  // not divided by the groups, as in PyTorch and Keras
    ParameterSpec weight{
        "weight", {o.filters, o.kernel_h, o.kernel_w, input_[2] / o.groups}, o.init, fan_in, fan_out};
    if (!o.bias) return {weight};
    // PyTorch draws the bias from the weight's own bounds; everyone else starts it at zero.
    const Init init = o.init == Init::kaiming_torch ? Init::kaiming_torch : Init::zeros;
    return {weight, {"bias", {o.filters}, init, fan_in, fan_out, false}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true, .backward_reads_output = relu_};
  }

  int64_t flops() const override {
    const Conv2dSpec shapes = spec(1);
    return 2 * shapes.out_h() * shapes.out_w() * shapes.k * shapes.r * shapes.s * shapes.c / shapes.groups;
  }

  bool fuse_relu() override { return !std::exchange(relu_, true); }

  void prepare(Exec exec, int64_t n, bool needs_input_gradient) override {
    exec_ = exec;
    Conv2dSpec shapes = spec(n);
    shapes.needs_dx = needs_input_gradient;
    op_.emplace(exec, shapes);
  }

  size_t workspace_bytes() const override { return op_->workspace_bytes(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0], context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, context.output, context.workspace);
  }

  void backward(const LayerContext& context) override {
    if (relu_)
      activation_backward(exec_, Activation::relu, context.output, context.output_gradient,
                          context.output_gradient);
    op_->backward(context.inputs[0], context.parameters[0], context.output_gradient,
                  context.input_gradients[0], context.parameter_gradients[0],
                  options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
  }

 private:
  Conv2dSpec spec(int64_t n) const {
    const Conv2dOptions& o = options_;
    Conv2dSpec spec;
    spec.n = n, spec.h = input_[0], spec.w = input_[1], spec.c = input_[2];
    spec.k = o.filters, spec.r = o.kernel_h, spec.s = o.kernel_w;
    spec.stride_h = o.stride_h, spec.stride_w = o.stride_w;
    spec.pad_h = o.pad_h, spec.pad_w = o.pad_w;
    spec.dilation_h = o.dilation_h, spec.dilation_w = o.dilation_w;
    spec.groups = o.groups, spec.bias = o.bias, spec.relu = relu_;
    return spec;
  }

  Conv2dOptions options_;
  Shape input_;
  bool relu_ = false;
  Exec exec_;
  std::optional<Conv2d> op_;
};

}  // namespace

std::unique_ptr<Layer> make_conv2d(const Conv2dOptions& options) {
  return std::make_unique<Conv2dLayer>(options);
}

}  // namespace lockstep
