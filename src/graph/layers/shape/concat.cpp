#include "src/graph/layers/shape/concat.h"

#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/ops/shape/copy_columns.h"

namespace lockstep {

namespace {

/// The shape of a value without its channels, which are the last axis.
Shape positions_of(const Value& value) {
  if (value.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
  const auto extents = value.shape.extents();
  return Shape(std::vector<int64_t>(extents.begin(), extents.end() - 1));
}

Value with_channels(const Shape& positions, int64_t channels) {
  std::vector<int64_t> extents = extents_of(positions);
  extents.push_back(channels);
  return {DType::f32, Shape(extents)};
}

class ConcatLayer final : public Layer {
 public:
  std::string kind() const override { return "concat"; }
  std::string describe() const override { return fmt::format("of {} inputs", channels_.size()); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ConcatLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() < 2) fail(ExitCode::usage, "takes two or more inputs, not {}.", inputs.size());
    const Shape positions = positions_of(inputs[0]);
    int64_t channels = 0;
    channels_.clear();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!(positions_of(only_input(inputs.subspan(i, 1))) == positions))
        fail(ExitCode::usage, "its inputs differ in more than their channels: {} and {}.",
             to_string(inputs[0].shape), to_string(inputs[i].shape));
      channels_.push_back(inputs[i].shape[-1]);
      channels += channels_.back();
    }
    return with_channels(positions, channels);
  }

  LayerTraits traits() const override { return {}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    const Tensor y = context.output.reshaped(matrix(context.output.shape()));
    int64_t first = 0;
    for (const ConstTensor& input : context.inputs) {
      const ConstTensor x = input.reshaped(matrix(input.shape()));
      copy_columns(exec_, x.shape()[1], x, 0, y, first);
      first += x.shape()[1];
    }
  }

  void backward(const LayerContext& context) override {
    const ConstTensor dy = context.output_gradient.reshaped(matrix(context.output_gradient.shape()));
    int64_t first = 0;
    for (size_t i = 0; i < context.input_gradients.size(); ++i) {
      const Tensor& gradient = context.input_gradients[i];
      const int64_t channels = channels_[i];
      if (gradient) copy_columns(exec_, channels, dy, first, gradient.reshaped(matrix(gradient.shape())), 0);
      first += channels;
    }
  }

 private:
  std::vector<int64_t> channels_;  ///< of each input
  Exec exec_;
};

class SliceLayer final : public Layer {
 public:
  explicit SliceLayer(const SliceOptions& options) : options_(options) {}

  std::string kind() const override { return "slice"; }
  std::string describe() const override {
    return fmt::format("channels {} to {}", options_.first, options_.first + options_.count - 1);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<SliceLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    const Shape positions = positions_of(input);
    if (options_.first + options_.count > input.shape[-1])
      fail(ExitCode::usage, "takes channels {} to {}, but its input has {}: {}.", options_.first,
           options_.first + options_.count - 1, input.shape[-1], to_string(input.shape));
    return with_channels(positions, options_.count);
  }

  LayerTraits traits() const override { return {.takes_first = options_.first == 0}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    const ConstTensor x = context.inputs[0].reshaped(matrix(context.inputs[0].shape()));
    copy_columns(exec_, options_.count, x, options_.first,
                 context.output.reshaped(matrix(context.output.shape())), 0);
  }

  void backward(const LayerContext& context) override {
    const Tensor& gradient = context.input_gradients[0];
    if (!gradient) return;
    fill_zero(exec_, gradient.raw(), gradient.bytes());
    copy_columns(exec_, options_.count,
                 context.output_gradient.reshaped(matrix(context.output_gradient.shape())), 0,
                 gradient.reshaped(matrix(gradient.shape())), options_.first);
  }

 private:
  SliceOptions options_;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<NoOptions> concat = {
    "concat", "joins the channels of two or more inputs", {}, make_layer<ConcatLayer>};
const Description<SliceOptions> slice = {
    "slice",
    "takes adjacent channels",
    {{"first", &SliceOptions::first, "the first channel, from 0", at_least(0)},
     {"count", &SliceOptions::count, "number of channels", at_least(1), true}},
    make_layer<SliceLayer>};
}  // namespace layers

}  // namespace lockstep
