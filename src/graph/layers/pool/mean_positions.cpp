#include "src/graph/layers/pool/mean_positions.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pool/mean_positions.h"

namespace lockstep {

namespace {

class MeanPositionsLayer final : public Layer {
 public:
  std::string kind() const override { return "mean_positions"; }
  std::string describe() const override { return masked_ ? "of those with a mask of 1" : "of all"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<MeanPositionsLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() != 1 && inputs.size() != 2)
      fail(ExitCode::usage, "takes one input, or one and a mask, not {}.", inputs.size());
    const Shape& input = only_input(inputs.first(1)).shape;
    if (input.rank() != 2)
      fail(ExitCode::usage, "works on sequences (positions, channels), but its input is {}.",
           to_string(input));
    masked_ = inputs.size() == 2;
    if (masked_ && only_input(inputs.last(1)).shape.elements() != input[0])
      fail(ExitCode::usage, "its mask {} does not have one number for each of {} positions.",
           to_string(inputs[1].shape), input[0]);
    positions_ = input[0];
    return {DType::f32, {input[1]}};
  }

  LayerTraits traits() const override { return {.backward_reads_input = masked_}; }
  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    samples_ = preparation.samples;
  }

  void forward(const LayerContext& context) override {
    mean_positions_forward(exec_, context.inputs[0], mask_of(context), context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      mean_positions_backward(exec_, mask_of(context), context.output_gradient, context.input_gradients[0]);
    // A mask has no gradient.
    if (masked_ && context.input_gradients[1])
      fill_zero(exec_, context.input_gradients[1].raw(), context.input_gradients[1].bytes());
  }

 private:
  ConstTensor mask_of(const LayerContext& context) const {
    return masked_ ? context.inputs[1].reshaped({samples_, positions_}) : ConstTensor{};
  }

  bool masked_ = false;
  int64_t positions_ = 0, samples_ = 0;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<NoOptions> mean_positions = {
    "mean_positions",
    "the mean over the positions of a sequence; a second input is a mask of those that count",
    {},
    make_layer<MeanPositionsLayer>};
}  // namespace layers

}  // namespace lockstep
