#include "src/graph/layers/matmul/linear.h"

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
    copy->positions_ = positions_;
    return copy;
  }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = only_input(inputs).shape;
    if (input.rank() == 0) fail(ExitCode::usage, "takes a vector, but its input is a single number.");
    inputs_ = input[-1];
    positions_ = input.elements() / inputs_;
    Shape output = input;
    output[-1] = options_.outputs;
    return {DType::f32, output};
  }

  std::vector<ParameterSpec> parameters() const override {
    const ParameterSpec weight{.name = "weight",
                               .shape = {options_.outputs, inputs_},
                               .init = options_.init,
                               .fan_in = inputs_,
                               .fan_out = options_.outputs,
                               .deviation = options_.deviation};
    if (!options_.bias) return {weight};
    // PyTorch draws the bias from the bounds of the weight; all others start at zero.
    const Init init = options_.init == Init::kaiming_torch ? Init::kaiming_torch : Init::zeros;
    return {weight, {"bias", {options_.outputs}, init, inputs_, options_.outputs, false, ReadAs::output}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true,
            .applies_sum = true,
            .applies_relu = true,
            .applies_gelu = true,
            .adds_to_gradient = true,
            .skips_frozen = true,
            .writes_f32 = true};
  }
  int64_t flops() const override { return 2 * positions_ * inputs_ * options_.outputs; }

  void prepare(const Preparation& p) override {
    exec_ = p.exec;
    rows_ = p.samples * positions_;
    saved_.clear();
    if (p.activation && backward_reads_input(*p.activation))
      saved_.push_back({p.output, {rows_, options_.outputs}});
    op_.emplace(p.exec, LinearSpec{.rows = rows_,
                                   .in = inputs_,
                                   .out = options_.outputs,
                                   .bias = options_.bias,
                                   .adds = p.adds,
                                   .activation = p.activation,
                                   .needs_dx = p.needs_input_gradient,
                                   .adds_to_dx = p.adds_to_gradient,
                                   .type = p.type,
                                   .result = p.output,
                                   .tf32 = p.tf32});
  }

  /// What a GELU is applied to.
  std::vector<Value> saved() const override { return saved_; }
  size_t workspace_bytes() const override { return op_->workspace_bytes(); }

  void forward(const LayerContext& context) override {
    op_->forward(context.inputs[0].reshaped({rows_, inputs_}), context.parameters[0],
                 options_.bias ? context.parameters[1] : ConstTensor{}, as_rows(context.output),
                 context.workspace, as_rows(context.added), saved_.empty() ? Tensor{} : context.saved[0]);
  }

  void backward(const LayerContext& context) override {
    const Tensor input_gradient = context.input_gradients[0];
    op_->backward(
        context.inputs[0].reshaped({rows_, inputs_}), context.parameters[0],
        saved_.empty() ? as_rows(context.output) : context.saved[0], as_rows(context.output_gradient),
        input_gradient ? input_gradient.reshaped({rows_, inputs_}) : Tensor{}, context.parameter_gradients[0],
        options_.bias ? context.parameter_gradients[1] : Tensor{}, context.workspace);
    if (context.added_gradient) copy_unless_shared(exec_, context.output_gradient, context.added_gradient);
  }

 private:
  /// A tensor like the output as a matrix, or nothing.
  template <typename AnyTensor>
  AnyTensor as_rows(const AnyTensor& tensor) const {
    return tensor ? tensor.reshaped({rows_, options_.outputs}) : AnyTensor{};
  }

  LinearOptions options_;
  int64_t inputs_ = 0;     ///< of the last axis
  int64_t positions_ = 1;  ///< along all other axes, each of which is a row
  int64_t rows_ = 0;       ///< of a micro-batch
  Exec exec_;
  std::vector<Value> saved_;
  std::optional<Linear> op_;
};

}  // namespace

namespace layers {
const Description<LinearOptions> linear = {
    "linear",
    "weighted sums of the last axis; other axes are kept",
    {{"outputs", &LinearOptions::outputs, "number of outputs", at_least(1), true, true},
     {"bias", &LinearOptions::bias, "add a bias"},
     {"init", &LinearOptions::init, "initializer of the weight"},
     {"deviation", &LinearOptions::deviation, "standard deviation of init = \"normal\"", kPositive}},
    make_layer<LinearLayer>};
}  // namespace layers

}  // namespace lockstep
