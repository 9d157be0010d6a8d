#include "src/graph/layers/shape/class_token.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/shape/prepend.h"

namespace lockstep {

namespace {

class ClassTokenLayer final : public Layer {
 public:
  explicit ClassTokenLayer(const ClassTokenOptions& options) : options_(options) {}

  std::string kind() const override { return "class_token"; }
  std::string describe() const override { return "in front of the sequence"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ClassTokenLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = only_input(inputs).shape;
    if (input.rank() != 2)
      fail(ExitCode::usage, "works on sequences (positions, channels), but its input is {}.",
           to_string(input));
    channels_ = input[1];
    return {DType::f32, {input[0] + 1, channels_}};
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{.name = "weight",
             .shape = {channels_},
             .init = options_.init,
             .fan_in = channels_,
             .fan_out = channels_,
             .deviation = options_.deviation}};
  }

  LayerTraits traits() const override { return {.skips_frozen = true}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    prepend_forward(exec_, context.parameters[0], context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    prepend_backward(exec_, context.output_gradient, context.input_gradients[0],
                     context.parameter_gradients[0]);
  }

 private:
  ClassTokenOptions options_;
  int64_t channels_ = 0;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<ClassTokenOptions> class_token = {
    "class_token",
    "puts a trained vector in front of each sequence",
    {{"init", &ClassTokenOptions::init, "initialization of the vector"},
     {"deviation", &ClassTokenOptions::deviation, "standard deviation of init = \"normal\"", kPositive}},
    make_layer<ClassTokenLayer>};
}  // namespace layers

}  // namespace lockstep
