#include "src/graph/layers/pointwise/dropout.h"

#include "src/core/hash.h"
#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/add.h"
#include "src/ops/pointwise/dropout.h"

namespace lockstep {

namespace {

class DropoutLayer final : public Layer {
 public:
  DropoutLayer(double rate, const LayerIdentity& identity)
      : rate_(rate), spec_{static_cast<float>(rate), identity.seed, hash_name(identity.name)} {}

  std::string kind() const override { return "dropout"; }
  std::string describe() const override { return fmt::format("rate {}", rate_); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<DropoutLayer>(*this); }

  Value infer(std::span<const Value> inputs) override { return only_input(inputs); }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .applies_sum = true, .backward_in_place = true};
  }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    if (context.training)
      dropout(exec_, context.info, spec_, context.sample_index, context.inputs[0], context.output,
              context.added);
    else if (context.added)
      add(exec_, context.inputs[0], context.added, context.output);
    else
      copy_unless_shared(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    // First, because the gradient of the input may take the place of the output's.
    if (context.added_gradient) copy_unless_shared(exec_, context.output_gradient, context.added_gradient);
    if (context.input_gradients[0])
      dropout(exec_, context.info, spec_, context.sample_index, context.output_gradient,
              context.input_gradients[0]);
  }

 private:
  double rate_;
  DropoutSpec spec_;
  Exec exec_;
};

std::unique_ptr<Layer> make(const DropoutOptions& options, const LayerIdentity& identity) {
  return std::make_unique<DropoutLayer>(options.rate, identity);
}

}  // namespace

namespace layers {
const Description<DropoutOptions> dropout = {
    "dropout",
    "sets values to zero at random in training",
    {{"rate", &DropoutOptions::rate, "probability of zero", kFraction, true}},
    make};
}  // namespace layers

}  // namespace lockstep
