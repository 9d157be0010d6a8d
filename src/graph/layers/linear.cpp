#include "src/ops/matmul/linear.h"

#include <optional>
#include <utility>

#include "src/core/counted.h"
#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

class LinearLayer final : public Layer {
 public:
  explicit LinearLayer(const LinearOptions& options) : options_(options) {}

  std::string kind() const override { return "linear"; }

  std::string describe() const override {
    return fmt::format("{}{}{}", counted(options_.outputs, "output"), options_.bias ? "" : ", no bias",
                       relu_ ? ", ReLU" : "");
  }

  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<LinearLayer>(options_);
    copy->inputs_ = inputs_;
    copy->relu_ = relu_;
    return copy;
  }

  Shape infer(std::span<const Shape> inputs) override {
    const Shape& input = only_input(inputs);
    check_option("outputs", options_.outputs, 1);
    if (input.rank() != 1)
      fail(ExitCode::usage, "takes a vector, but its input is {}: put a flatten layer in front of it.",
           to_string(input));
    inputs_ = input[0];
    return {options_.outputs};
  }

  std::vector<ParameterSpec> parameters() const override {
    ParameterSpec weight{"weight", {options_.outputs, inputs_}, options_.init, inputs_, options_.outputs};
    if (!options_.bias) return {weight};
    // PyTorch draws the bias from the weight's own bounds; everyone else starts it at zero.
    const Init init = options_.init == Init::kaiming_torch ? Init::kaiming_torch : Init::zeros;
    return {weight, {"bias", {options_.outputs}, init, inputs_, options_.outputs, false}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true, .backward_reads_output = relu_};
  }
  int64_t flops() const override { return 2 * inputs_ * options_.outputs; }

  bool fuse_relu() override { return !std::exchange(relu_, true); }

  void prepare(Exec exec, int64_t n, bool needs_input_gradient) override {
    exec_ = exec;
    op_.emplace(exec, LinearSpec{n, inputs_, options_.outputs, options_.bias, relu_, needs_input_gradient});
  }

  size_t workspace_bytes() const override { return op_->workspace_bytes(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0], context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, context.output, context.workspace);
  }

  void backward(const LayerContext& context) override {
    if (relu_)
      activation_backward(exec_, Activation::relu, context.output, context.output_gradient,
                          context.output_gradient);
    op_->backward(context.inputs[0], context.parameters[0], context.output_gradient,
                  context.input_gradients[0], context.parameter_gradients[0],
                  options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
  }

 private:
  LinearOptions options_;
  int64_t inputs_ = 0;
  bool relu_ = false;
  Exec exec_;
  std::optional<Linear> op_;
};

}  // namespace

std::unique_ptr<Layer> make_linear(const LinearOptions& options) {
  return std::make_unique<LinearLayer>(options);
}

}  // namespace lockstep
