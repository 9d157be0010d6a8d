#include "src/graph/layers/pointwise/add.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/add.h"

namespace lockstep {

namespace {

class AddLayer final : public Layer {
 public:
  std::string kind() const override { return "add"; }
  std::string describe() const override { return "elementwise"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<AddLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() != 2) fail(ExitCode::usage, "takes two inputs, not {}.", inputs.size());
    if (!(inputs[0].shape == inputs[1].shape))
      fail(ExitCode::usage, "its inputs differ in shape: {} and {}.", to_string(inputs[0].shape),
           to_string(inputs[1].shape));
    only_input(inputs.subspan(1));
    return only_input(inputs.first(1));
  }

  LayerTraits traits() const override { return {.forward_in_place = true, .backward_in_place = true}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    add(exec_, context.inputs[0], context.inputs[1], context.output);
  }

  void backward(const LayerContext& context) override {
    for (const Tensor& gradient : context.input_gradients)
      if (gradient) copy_unless_shared(exec_, context.output_gradient, gradient);
  }

 private:
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<NoOptions> add = {"add", "the sum of two inputs of one shape", {}, make_layer<AddLayer>};
}  // namespace layers

}  // namespace lockstep
