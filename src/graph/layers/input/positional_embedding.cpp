#include "src/graph/layers/input/positional_embedding.h"

#include "src/core/counted.h"
#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/bias.h"

namespace lockstep {

namespace {

class PositionalEmbeddingLayer final : public Layer {
 public:
  explicit PositionalEmbeddingLayer(const PositionalEmbeddingOptions& options) : options_(options) {}

  std::string kind() const override { return "positional_embedding"; }
  std::string describe() const override { return counted(all_positions(), "position"); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<PositionalEmbeddingLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() != 2)
      fail(ExitCode::usage, "works on sequences (positions, channels), but its input is {}.",
           to_string(input.shape));
    positions_ = input.shape[0];
    channels_ = input.shape[1];
    if (positions_ > all_positions())
      fail(ExitCode::usage, "its input has {} positions, but it has vectors for {}.", positions_,
           options_.positions);
    return input;
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{.name = "weight",
             .shape = {all_positions(), channels_},
             .init = options_.init,
             .fan_in = all_positions(),
             .fan_out = channels_,
             .deviation = options_.deviation}};
  }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .backward_in_place = true, .skips_frozen = true};
  }
  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    samples_ = preparation.samples;
  }

  void forward(const LayerContext& context) override {
    const ConstTensor& weight = context.parameters[0];
    const ConstTensor used(weight.raw(), weight.dtype(), {positions_ * channels_});
    bias_forward(exec_, context.inputs[0].reshaped(rows()), used, context.output.reshaped(rows()));
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.parameter_gradients[0]) {
      const int64_t used = positions_ * channels_;
      bias_backward(exec_, context.output_gradient.reshaped(rows()),
                    Tensor(gradient.raw(), DType::f32, {used}));
      fill_zero(exec_, gradient.data<float>() + used,
                static_cast<size_t>(gradient.elements() - used) * sizeof(float));
    }
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  int64_t all_positions() const { return options_.positions == 0 ? positions_ : options_.positions; }
  /// A sample as a row.
  Shape rows() const { return {samples_, positions_ * channels_}; }

  PositionalEmbeddingOptions options_;
  int64_t positions_ = 0, channels_ = 0;  ///< of the input
  int64_t samples_ = 0;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<PositionalEmbeddingOptions> positional_embedding = {
    "positional_embedding",
    "adds a trained vector to each position of a sequence",
    {{"positions", &PositionalEmbeddingOptions::positions,
      "number of vectors; 0: one for each position of the input", at_least(0)},
     {"init", &PositionalEmbeddingOptions::init, "initialization of the vectors"},
     {"deviation", &PositionalEmbeddingOptions::deviation, "standard deviation of init = \"normal\"",
      kPositive}},
    make_layer<PositionalEmbeddingLayer>};
}  // namespace layers

}  // namespace lockstep
