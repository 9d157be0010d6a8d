#include "src/graph/layers/pointwise/multiply.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/multiply.h"

namespace lockstep {

namespace {

class MultiplyLayer final : public Layer {
 public:
  std::string kind() const override { return "multiply"; }
  std::string describe() const override { return positions_ == 1 ? "elementwise" : "channels by numbers"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<MultiplyLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() != 2) fail(ExitCode::usage, "takes two inputs, not {}.", inputs.size());
    const Shape &a = only_input(inputs.first(1)).shape, &b = only_input(inputs.subspan(1)).shape;
    const bool same = a == b;
    if (!same && (a.rank() == 0 || b.elements() != a[-1] || b[-1] != a[-1]))
      fail(
          ExitCode::usage,
          "its second input must have the shape of the first, or one number for each of its channels: {} and {}.",
          to_string(a), to_string(b));
    channels_ = same ? a.elements() : a[-1];
    positions_ = channels_ == 0 ? 0 : a.elements() / channels_;
    return inputs[0];
  }

  LayerTraits traits() const override { return {.backward_reads_input = true, .backward_in_place = true}; }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    a_shape_ = {preparation.samples, positions_, channels_};
    b_shape_ = {preparation.samples, channels_};
  }

  void forward(const LayerContext& context) override {
    multiply_forward(exec_, context.inputs[0].reshaped(a_shape_), context.inputs[1].reshaped(b_shape_),
                     context.output.reshaped(a_shape_));
  }

  void backward(const LayerContext& context) override {
    const Tensor &da = context.input_gradients[0], &db = context.input_gradients[1];
    multiply_backward(exec_, context.inputs[0].reshaped(a_shape_), context.inputs[1].reshaped(b_shape_),
                      context.output_gradient.reshaped(a_shape_), da ? da.reshaped(a_shape_) : Tensor{},
                      db ? db.reshaped(b_shape_) : Tensor{});
  }

 private:
  int64_t channels_ = 0, positions_ = 0;
  Shape a_shape_{0, 0, 0}, b_shape_{0, 0};  ///< of a micro-batch, for the op
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<NoOptions> multiply = {
    "multiply",
    "the product of two inputs of one shape, or of each channel and a number",
    {},
    make_layer<MultiplyLayer>};
}  // namespace layers

}  // namespace lockstep
