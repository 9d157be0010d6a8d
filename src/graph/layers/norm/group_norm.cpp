#include "src/graph/layers/norm/group_norm.h"

#include <utility>

#include "src/graph/layers/shapes.h"
#include "src/ops/norm/group_norm.h"

namespace lockstep {

namespace {

/// What the norms of this file differ in.
struct Norm {
  const char* kind;
  GroupNormSpec spec;
  bool bias = true;
  bool of_each_position = false;  ///< whether the positions of a sample are normalized on their own
};

class GroupNormLayer final : public Layer {
 public:
  explicit GroupNormLayer(const Norm& norm) : norm_(norm) {}

  std::string kind() const override { return norm_.kind; }
  std::string describe() const override {
    const std::string groups = norm_.of_each_position ? "" : fmt::format("{} groups, ", norm_.spec.groups);
    return fmt::format("{}epsilon {:g}", groups, norm_.spec.epsilon);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<GroupNormLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
    channels_ = input.shape[-1];
    positions_ = channels_ == 0 ? 0 : input.shape.elements() / channels_;
    if (channels_ % norm_.spec.groups != 0)
      fail(ExitCode::usage, "{} channels cannot be divided into {} groups.", channels_, norm_.spec.groups);
    return input;
  }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> parameters = {
        {"weight", {channels_}, Init::ones, channels_, channels_, false, ReadAs::f32}};
    if (norm_.bias)
      parameters.push_back({"bias", {channels_}, Init::zeros, channels_, channels_, false, ReadAs::f32});
    return parameters;
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true, .backward_in_place = true, .adds_to_gradient = true};
  }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    adds_to_gradient_ = preparation.adds_to_gradient;
    const int64_t rows = norm_.of_each_position ? positions_ : 1;
    shape_ = {preparation.samples * rows, positions_ / rows, channels_};
  }

  std::vector<Value> saved() const override {
    const Value statistics{DType::f32, {shape_[0], norm_.spec.groups}};
    return {statistics, statistics};
  }

  void forward(const LayerContext& context) override {
    group_norm_forward(exec_, norm_.spec, context.inputs[0].reshaped(shape_), context.parameters[0],
                       norm_.bias ? context.parameters[1] : ConstTensor{}, context.output.reshaped(shape_),
                       context.saved[0], context.saved[1]);
  }

  void backward(const LayerContext& context) override {
    // The op always writes dx; if it is not needed, it may overwrite the gradient of the output.
    const Tensor dx = context.input_gradients[0] ? context.input_gradients[0] : context.output_gradient;
    group_norm_backward(exec_, norm_.spec, context.inputs[0].reshaped(shape_), context.parameters[0],
                        context.saved[0], context.saved[1], context.output_gradient.reshaped(shape_),
                        dx.reshaped(shape_), context.parameter_gradients[0],
                        norm_.bias ? context.parameter_gradients[1] : Tensor{}, adds_to_gradient_);
  }

 private:
  Norm norm_;
  int64_t channels_ = 0, positions_ = 0;  ///< of a sample
  Shape shape_{0, 0, 0};                  ///< of a micro-batch, for the op
  Exec exec_;
  bool adds_to_gradient_ = false;
};

std::unique_ptr<Layer> make_layer_norm(const LayerNormOptions& options, const LayerIdentity&) {
  return std::make_unique<GroupNormLayer>(Norm{.kind = "layer_norm",
                                               .spec = {.epsilon = static_cast<float>(options.epsilon)},
                                               .bias = options.bias,
                                               .of_each_position = true});
}

std::unique_ptr<Layer> make_rms_norm(const RmsNormOptions& options, const LayerIdentity&) {
  return std::make_unique<GroupNormLayer>(
      Norm{.kind = "rms_norm",
           .spec = {.epsilon = static_cast<float>(options.epsilon), .centered = false},
           .bias = false,
           .of_each_position = true});
}

std::unique_ptr<Layer> make_group_norm(const GroupNormOptions& options, const LayerIdentity&) {
  return std::make_unique<GroupNormLayer>(
      Norm{.kind = "group_norm",
           .spec = {.groups = options.groups, .epsilon = static_cast<float>(options.epsilon)}});
}

}  // namespace

namespace layers {
const Description<LayerNormOptions> layer_norm = {
    "layer_norm",
    "normalizes the channels of each position, then scales and shifts them",
    {{"epsilon", &LayerNormOptions::epsilon, "added to the variance", kPositive},
     {"bias", &LayerNormOptions::bias, "shift the channels"}},
    make_layer_norm};
const Description<RmsNormOptions> rms_norm = {
    "rms_norm",
    "divides the channels of each position by their root mean square, then scales them",
    {{"epsilon", &RmsNormOptions::epsilon, "added to the mean square", kPositive}},
    make_rms_norm};
const Description<GroupNormOptions> group_norm = {
    "group_norm",
    "normalizes groups of channels over all positions of a sample, then scales and shifts each channel",
    {{"groups", &GroupNormOptions::groups, "number of groups of channels", at_least(1), true},
     {"epsilon", &GroupNormOptions::epsilon, "added to the variance", kPositive}},
    make_group_norm};
}  // namespace layers

}  // namespace lockstep
