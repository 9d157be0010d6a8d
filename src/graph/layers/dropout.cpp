#include "src/ops/pointwise/dropout.h"

#include "src/core/hash.h"
#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

class DropoutLayer final : public Layer {
 public:
  DropoutLayer(const std::string& name, double rate, uint64_t seed)
      : rate_(rate), spec_{static_cast<float>(rate), seed, hash_name(name)} {}

  std::string kind() const override { return "dropout"; }
  std::string describe() const override { return fmt::format("rate {}", rate_); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<DropoutLayer>(*this); }

  Shape infer(std::span<const Shape> inputs) override {
    if (!(rate_ >= 0 && rate_ < 1)) fail(ExitCode::usage, "rate is {}, but it must be in [0, 1).", rate_);
    return only_input(inputs);
  }

  LayerTraits traits() const override { return {.forward_in_place = true, .backward_in_place = true}; }
  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }

  void forward(const LayerContext& context) override {
    if (context.training)
      dropout(exec_, context.info, spec_, context.sample_index, context.inputs[0], context.output);
    else
      copy_unless_shared(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      dropout(exec_, context.info, spec_, context.sample_index, context.output_gradient,
              context.input_gradients[0]);
  }

 private:
  double rate_;
  DropoutSpec spec_;
  Exec exec_;
};

}  // namespace

std::unique_ptr<Layer> make_dropout(const std::string& name, double rate, uint64_t seed) {
  return std::make_unique<DropoutLayer>(name, rate, seed);
}

}  // namespace lockstep
