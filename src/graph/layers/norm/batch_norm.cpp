#include "src/graph/layers/norm/batch_norm.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/norm/batch_norm.h"
#include "src/ops/norm/sync_batch_norm.h"

namespace lockstep {

namespace {

class BatchNormLayer final : public Layer {
 public:
  explicit BatchNormLayer(const BatchNormOptions& options) : options_(options) {}

  std::string kind() const override { return "batch_norm"; }
  std::string describe() const override {
    return fmt::format("momentum {}, epsilon {}", options_.momentum, options_.epsilon);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<BatchNormLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
    channels_ = input.shape[-1];
    positions_ = channels_ == 0 ? 0 : input.shape.elements() / channels_;
    return input;
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{"weight", {channels_}, options_.init, channels_, channels_, false, ReadAs::f32},
            {"bias", {channels_}, Init::zeros, channels_, channels_, false, ReadAs::f32}};
  }

  std::vector<StateSpec> states() const override {
    return {{"running", {2, channels_}, 0, {0, 1}, {"running_mean", "running_var"}}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true,
            .applies_sum = true,
            .applies_relu = true,
            .recovers_relu = true,
            .backward_in_place = true,
            .takes_sums = true,
            .statistics_per_sample = positions_};
  }
  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    relu_ = preparation.activation == Activation::relu;
  }
  std::vector<Value> saved() const override { return {{DType::f32, {channels_}}, {DType::f32, {channels_}}}; }
  size_t workspace_bytes() const override { return static_cast<size_t>(6 * channels_ + 1) * sizeof(float); }

  void forward(const LayerContext& context) override {
    const float epsilon = static_cast<float>(options_.epsilon);
    const BatchNormEpilogue epilogue{context.added, relu_};
    const ConstTensor x = context.inputs[0], scale = context.parameters[0], shift = context.parameters[1];
    if (context.joint_sum != nullptr) return joint_forward(context, epsilon, epilogue);
    if (context.training) {
      batch_norm_forward(exec_, context.info, epsilon, x, scale, shift, context.states[0], context.output,
                         context.saved[0], context.saved[1], context.state_sums[0], epilogue,
                         context.input_sums);
      return;
    }
    batch_norm_inference(exec_, epsilon, x, scale, shift, running(context, 0), running(context, 1),
                         context.output, epilogue);
  }

  void backward(const LayerContext& context) override {
    const BatchNormEpilogueGradient epilogue{relu_, context.output, context.added_gradient};
    if (context.joint_sum != nullptr) return joint_backward(context, epilogue);
    const ConstTensor x = context.inputs[0], scale = context.parameters[0], shift = context.parameters[1];
    if (!context.training) {
      batch_norm_inference_backward(exec_, static_cast<float>(options_.epsilon), x, scale, shift,
                                    running(context, 0), running(context, 1), context.output_gradient,
                                    context.input_gradients[0], epilogue);
      return;
    }
    batch_norm_backward(exec_, context.info, x, scale, shift, context.saved[0], context.saved[1],
                        context.output_gradient, context.input_gradients[0], context.parameter_gradients[0],
                        context.parameter_gradients[1], epilogue);
  }

  void update_state(const LayerContext& context) override {
    batch_norm_running_update(exec_, context.info, static_cast<float>(options_.momentum),
                              context.state_sums[0], context.states[0], context.guard);
  }

 private:
  /// A part of the workspace, starting at an offset in floats.
  Tensor scratch(const LayerContext& context, int64_t start, const Shape& shape) const {
    return {context.workspace.data<uint8_t>() + static_cast<size_t>(start) * sizeof(float), DType::f32,
            shape};
  }
  /// Running means, or variances.
  ConstTensor running(const LayerContext& context, int64_t row) const {
    return {context.states[0].data<float>() + row * channels_, DType::f32, {channels_}};
  }
  static void add_over_others(const LayerContext& context, const Tensor& values) {
    (*context.joint_sum)({values.data<float>(), static_cast<size_t>(values.elements())});
  }

  void joint_forward(const LayerContext& context, float epsilon, const BatchNormEpilogue& epilogue) {
    const ConstTensor x = context.inputs[0];
    const Tensor moments = scratch(context, 0, {3, channels_});
    const Tensor deviations = scratch(context, 3 * channels_, {2, channels_});
    const Tensor totals = scratch(context, 5 * channels_, {channels_ + 1});
    sync_batch_norm_moments(exec_, context.info, x, moments, totals);
    add_over_others(context, totals);
    sync_batch_norm_deviations(exec_, context.info, positions_, moments, totals, deviations);
    add_over_others(context, deviations);
    sync_batch_norm_normalize(exec_, context.info, epsilon, x, context.parameters[0], context.parameters[1],
                              context.states[0], totals, deviations, context.output, context.saved[0],
                              context.saved[1], context.state_sums[0], epilogue);
  }

  void joint_backward(const LayerContext& context, const BatchNormEpilogueGradient& epilogue) {
    const ConstTensor x = context.inputs[0], mean = context.saved[0], inverse_std = context.saved[1];
    const ConstTensor scale = context.parameters[0], shift = context.parameters[1];
    const Tensor totals = scratch(context, 0, {2 * channels_ + 1});
    sync_batch_norm_gradient_sums(exec_, context.info, x, scale, shift, mean, inverse_std,
                                  context.output_gradient, context.parameter_gradients[0],
                                  context.parameter_gradients[1], totals, epilogue);
    add_over_others(context, totals);
    if (!context.input_gradients[0]) return;
    sync_batch_norm_input_gradient(exec_, context.info, x, scale, shift, mean, inverse_std,
                                   context.output_gradient, totals, context.input_gradients[0], epilogue);
  }

  BatchNormOptions options_;
  int64_t channels_ = 0, positions_ = 0;  ///< positions of a sample
  bool relu_ = false;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<BatchNormOptions> batch_norm = {
    "batch_norm",
    "normalizes each channel over the batch, then scales and shifts it",
    {{"momentum",
      &BatchNormOptions::momentum,
      "weight of a new batch in the running statistics",
      {.min = 0, .max = 1, .min_open = true}},
     {"epsilon", &BatchNormOptions::epsilon, "added to the variance", kPositive},
     {"init", &BatchNormOptions::init,
      "initializer of the scale; zeros in the last norm of a residual branch"}},
    make_layer<BatchNormLayer>};
}  // namespace layers

}  // namespace lockstep
