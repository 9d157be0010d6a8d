#include "src/graph/layers/pointwise/bias.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

namespace {

class BiasLayer final : public Layer {
 public:
  BiasLayer() = default;
  explicit BiasLayer(const ParameterSpec& parameter) : parameter_(parameter) {}

  std::string kind() const override { return "bias"; }
  std::string describe() const override { return "along the last axis"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<BiasLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no last axis.");
    const int64_t channels = input.shape[-1];
    if (parameter_.name.empty()) parameter_ = {"bias", {channels}, Init::zeros, channels, channels, false};
    return input;
  }

  std::vector<ParameterSpec> parameters() const override { return {parameter_}; }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .applies_relu = true, .backward_in_place = true, .skips_frozen = true};
  }
  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    relu_ = preparation.activation == Activation::relu;
  }

  void forward(const LayerContext& context) override {
    bias_forward(exec_, context.inputs[0], context.parameters[0], context.output, relu_);
  }

  void backward(const LayerContext& context) override {
    const Tensor& gradient = context.parameter_gradients[0];
    if (relu_)
      bias_activation_backward(exec_, Activation::relu, context.output, context.output_gradient, gradient);
    else if (gradient)
      bias_backward(exec_, context.output_gradient, gradient);
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  ParameterSpec parameter_;
  bool relu_ = false;
  Exec exec_;
};

}  // namespace

std::unique_ptr<Layer> make_bias(const ParameterSpec& parameter) {
  return std::make_unique<BiasLayer>(parameter);
}

namespace layers {
const Description<NoOptions> bias = {
    "bias", "adds a trained vector along the last axis", {}, make_layer<BiasLayer>};
}  // namespace layers

}  // namespace lockstep
