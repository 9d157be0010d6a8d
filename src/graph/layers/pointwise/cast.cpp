#include "src/graph/layers/pointwise/cast.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/cast.h"

namespace lockstep {

namespace {

class CastLayer final : public Layer {
 public:
  std::string kind() const override { return "cast"; }
  std::string describe() const override { return "another type"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<CastLayer>(*this); }

  Value infer(std::span<const Value> inputs) override { return only_input(inputs); }
  LayerTraits traits() const override { return {.backward_in_place = true}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override { cast(exec_, context.inputs[0], context.output); }
  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  Exec exec_;
};

}  // namespace

std::unique_ptr<Layer> make_cast() { return std::make_unique<CastLayer>(); }

}  // namespace lockstep
