#include "src/ops/pointwise/add.h"

#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

class AddLayer final : public Layer {
 public:
  std::string kind() const override { return "add"; }
  std::string describe() const override { return "elementwise"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<AddLayer>(*this); }

  Shape infer(std::span<const Shape> inputs) override {
    if (inputs.size() != 2) fail(ExitCode::usage, "takes two inputs, not {}.", inputs.size());
    if (inputs[0] != inputs[1])
      fail(ExitCode::usage, "its inputs differ in shape: {} and {}.", to_string(inputs[0]),
           to_string(inputs[1]));
    return inputs[0];
  }

  LayerTraits traits() const override { return {.forward_in_place = true, .backward_in_place = true}; }
  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }

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

std::unique_ptr<Layer> make_add() { return std::make_unique<AddLayer>(); }

}  // namespace lockstep
