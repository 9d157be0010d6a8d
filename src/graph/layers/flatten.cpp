#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

/// Only another view of the same memory; where the plan gave it memory of its own, it copies.
class FlattenLayer final : public Layer {
 public:
  std::string kind() const override { return "flatten"; }
  std::string describe() const override { return "to a vector"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<FlattenLayer>(*this); }
  Shape infer(std::span<const Shape> inputs) override { return {only_input(inputs).elements()}; }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .backward_in_place = true, .reshape = true};
  }

  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }

  void forward(const LayerContext& context) override {
    copy_unless_shared(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  Exec exec_;
};

}  // namespace

std::unique_ptr<Layer> make_flatten() { return std::make_unique<FlattenLayer>(); }

}  // namespace lockstep
