#include "src/ops/pointwise/activation.h"

#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(Activation activation) : activation_(activation) {}

  std::string kind() const override { return to_string(activation_); }
  std::string describe() const override { return "elementwise"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ActivationLayer>(*this); }
  Shape infer(std::span<const Shape> inputs) override { return only_input(inputs); }

  LayerTraits traits() const override {
    const bool reads_input = backward_reads_input(activation_);
    return {.backward_reads_input = reads_input,
            .backward_reads_output = !reads_input,
            .forward_in_place = !reads_input,
            .backward_in_place = true};
  }

  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }

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

}  // namespace

std::unique_ptr<Layer> make_activation(Activation activation) {
  return std::make_unique<ActivationLayer>(activation);
}

}  // namespace lockstep
