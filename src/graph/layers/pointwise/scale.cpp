#include "src/graph/layers/pointwise/scale.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/scale.h"

namespace lockstep {

namespace {

class ScaleLayer final : public Layer {
 public:
  explicit ScaleLayer(const ScaleOptions& options) : factor_(options.factor) {}

  std::string kind() const override { return "scale"; }
  std::string describe() const override { return fmt::format("by {}", factor_); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ScaleLayer>(*this); }

  Value infer(std::span<const Value> inputs) override { return only_input(inputs); }
  LayerTraits traits() const override { return {.forward_in_place = true, .backward_in_place = true}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    scale(exec_, static_cast<float>(factor_), context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.input_gradients[0])
      scale(exec_, static_cast<float>(factor_), context.output_gradient, gradient);
  }

 private:
  double factor_;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<ScaleOptions> scale = {"scale",
                                         "multiplies by a constant",
                                         {{"factor", &ScaleOptions::factor, "the constant", {}, true}},
                                         make_layer<ScaleLayer>};
}  // namespace layers

}  // namespace lockstep
