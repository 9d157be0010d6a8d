#include "src/graph/layers/pointwise/bias.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

namespace {

class BiasLayer final : public Layer {
 public:
  std::string kind() const override { return "bias"; }
  std::string describe() const override { return "along the last axis"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<BiasLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no last axis.");
    channels_ = input.shape[-1];
    return input;
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{"bias", {channels_}, Init::zeros, channels_, channels_, false}};
  }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .backward_in_place = true, .skips_frozen = true};
  }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    bias_forward(exec_, context.inputs[0], context.parameters[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.parameter_gradients[0])
      bias_backward(exec_, context.output_gradient, gradient);
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  int64_t channels_ = 0;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<NoOptions> bias = {
    "bias", "adds a trained vector along the last axis", {}, make_layer<BiasLayer>};
}  // namespace layers

}  // namespace lockstep
