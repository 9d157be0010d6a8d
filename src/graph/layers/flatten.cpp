#include "src/graph/layers/flatten.h"

#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

/// Usually another view of the same memory; copies if the plan has given it separate memory.
class FlattenLayer final : public Layer {
 public:
  std::string kind() const override { return "flatten"; }
  std::string describe() const override { return "to a vector"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<FlattenLayer>(*this); }
  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    return {input.dtype, {input.shape.elements()}};
  }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .backward_in_place = true, .reshape = true};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

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

namespace layers {
const Description<NoOptions> flatten = {"flatten",
                                        "an image as a vector: by row, column, channel, the channel fastest",
                                        {},
                                        make_layer<FlattenLayer>};
}  // namespace layers

}  // namespace lockstep
