#include "src/graph/layers/activation.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

namespace {

class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(Activation activation) : activation_(activation) {}

  std::string kind() const override { return to_string(activation_); }
  std::string describe() const override { return "elementwise"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ActivationLayer>(*this); }
  Value infer(std::span<const Value> inputs) override { return only_input(inputs); }

  LayerTraits traits() const override {
    const bool reads_input = backward_reads_input(activation_);
    return {.backward_reads_input = reads_input,
            .backward_reads_output = !reads_input,
            .forward_in_place = !reads_input,
            .backward_in_place = true};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    activation_forward(exec_, activation_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (!context.input_gradients[0]) return;
    const ConstTensor saved =
        backward_reads_input(activation_) ? context.inputs[0] : ConstTensor(context.output);
    activation_backward(exec_, activation_, saved, context.output_gradient, context.input_gradients[0]);
  }

 private:
  Activation activation_;
  Exec exec_;
};

template <Activation kActivation>
std::unique_ptr<Layer> make(const NoOptions&, const LayerIdentity&) {
  return std::make_unique<ActivationLayer>(kActivation);
}

}  // namespace

namespace layers {
const Description<NoOptions> relu = {"relu", "max(0, x)", {}, make<Activation::relu>};
const Description<NoOptions> sigmoid = {"sigmoid", "1 / (1 + exp(-x))", {}, make<Activation::sigmoid>};
const Description<NoOptions> tanh = {"tanh", "hyperbolic tangent", {}, make<Activation::tanh>};
const Description<NoOptions> gelu = {
    "gelu", "x times the normal distribution function of x", {}, make<Activation::gelu>};
}  // namespace layers

}  // namespace lockstep
