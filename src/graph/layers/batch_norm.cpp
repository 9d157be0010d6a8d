#include "src/ops/batch_norm.h"

#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

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

  Shape infer(std::span<const Shape> inputs) override {
    const Shape& input = only_input(inputs);
    if (input.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
    if (!(options_.momentum > 0 && options_.momentum <= 1))
      fail(ExitCode::usage, "momentum is {}, but it must be in (0, 1].", options_.momentum);
    if (!(options_.epsilon > 0))
      fail(ExitCode::usage, "epsilon is {}, but it must be positive.", options_.epsilon);
    channels_ = input[-1];
    return input;
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{"scale", {channels_}, Init::ones, channels_, channels_, false},
            {"shift", {channels_}, Init::zeros, channels_, channels_, false}};
  }

  std::vector<StateSpec> states() const override {
    return {{"running", {2, channels_}, 0, {0, 1}}};  // means, variances
  }

  LayerTraits traits() const override { return {.backward_reads_input = true, .backward_in_place = true}; }
  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }
  std::vector<Saved> saved() const override { return {{DType::f32, {channels_}}, {DType::f32, {channels_}}}; }

  void forward(const LayerContext& context) override {
    const float epsilon = static_cast<float>(options_.epsilon);
    const ConstTensor x = context.inputs[0], scale = context.parameters[0], shift = context.parameters[1];
    if (context.training) {
      batch_norm_forward(exec_, context.info, epsilon, x, scale, shift, context.output, context.saved[0],
                         context.saved[1], context.state_sums[0]);
      return;
    }
    const float* running = context.states[0].data<float>();
    const ConstTensor mean(running, DType::f32, {channels_}),
        variance(running + channels_, DType::f32, {channels_});
    batch_norm_inference(exec_, epsilon, x, scale, shift, mean, variance, context.output);
  }

  void backward(const LayerContext& context) override {
    // The op always writes dx; where nobody reads it, it may overwrite the gradient that it came from.
    const Tensor dx = context.input_gradients[0] ? context.input_gradients[0] : context.output_gradient;
    batch_norm_backward(exec_, context.info, context.inputs[0], context.parameters[0], context.saved[0],
                        context.saved[1], context.output_gradient, dx, context.parameter_gradients[0],
                        context.parameter_gradients[1]);
  }

  void update_state(const LayerContext& context) override {
    batch_norm_running_update(exec_, context.info, static_cast<float>(options_.momentum),
                              context.state_sums[0], context.states[0]);
  }

 private:
  BatchNormOptions options_;
  int64_t channels_ = 0;
  Exec exec_;
};

}  // namespace

std::unique_ptr<Layer> make_batch_norm(const BatchNormOptions& options) {
  return std::make_unique<BatchNormLayer>(options);
}

}  // namespace lockstep
