#include "src/graph/layers/linear.h"

#include <optional>

#include "src/core/counted.h"
#include "src/graph/layers/shapes.h"
#include "src/ops/matmul/linear.h"

namespace lockstep {

namespace {

class LinearLayer final : public Layer {
 public:
  explicit LinearLayer(const LinearOptions& options) : options_(options) {}

  std::string kind() const override { return "linear"; }

  std::string describe() const override {
    return fmt::format("{}{}", counted(options_.outputs, "output"), options_.bias ? "" : ", no bias");
  }

  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<LinearLayer>(options_);
    copy->inputs_ = inputs_;
    return copy;
  }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = only_input(inputs).shape;
    if (input.rank() != 1)
      fail(ExitCode::usage, "takes a vector, but its input is {}: put a flatten layer in front of it.",
           to_string(input));
    inputs_ = input[0];
    return {DType::f32, {options_.outputs}};
  }

  std::vector<ParameterSpec> parameters() const override {
    ParameterSpec weight{"weight", {options_.outputs, inputs_}, options_.init, inputs_, options_.outputs};
    if (!options_.bias) return {weight};
    // PyTorch draws the bias from the weight's own bounds; everyone else starts it at zero.
    const Init init = options_.init == Init::kaiming_torch ? Init::kaiming_torch : Init::zeros;
    return {weight, {"bias", {options_.outputs}, init, inputs_, options_.outputs, false}};
  }

  LayerTraits traits() const override { return {.backward_reads_input = true, .applies_relu = true}; }
  int64_t flops() const override { return 2 * inputs_ * options_.outputs; }

  void prepare(const Preparation& p) override {
    op_.emplace(p.exec, LinearSpec{p.samples, inputs_, options_.outputs, options_.bias, p.relu,
                                   p.needs_input_gradient});
  }

  size_t workspace_bytes() const override { return op_->workspace_bytes(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0], context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, context.output, context.workspace);
  }

  void backward(const LayerContext& context) override {
    op_->backward(context.inputs[0], context.parameters[0], context.output_gradient,
                  context.input_gradients[0], context.parameter_gradients[0],
                  options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
  }

 private:
  LinearOptions options_;
  int64_t inputs_ = 0;
  std::optional<Linear> op_;
};

}  // namespace

namespace layers {
const Description<LinearOptions> linear = {
    "linear",
    "every output is a weighted sum of all inputs",
    {{"outputs", &LinearOptions::outputs, "how many", at_least(1), true, true},
     {"bias", &LinearOptions::bias, "whether a bias is added"},
     {"init", &LinearOptions::init, "how the weight starts"}},
    make_layer<LinearLayer>};
}  // namespace layers

}  // namespace lockstep
