#include "src/graph/layers/shape/pad_channels.h"

#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/ops/shape/copy_columns.h"

namespace lockstep {

namespace {

class PadChannelsLayer final : public Layer {
 public:
  explicit PadChannelsLayer(const PadChannelsOptions& options) : options_(options) {}

  std::string kind() const override { return "pad_channels"; }
  std::string describe() const override {
    return fmt::format("{} before, {} after", options_.before, options_.after);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<PadChannelsLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = only_input(inputs).shape;
    if (input.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
    std::vector<int64_t> extents = extents_of(input);
    channels_ = extents.back();
    extents.back() += options_.before + options_.after;
    return {DType::f32, Shape(extents)};
  }

  LayerTraits traits() const override { return {}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    const ConstTensor x = context.inputs[0];
    fill_zero(exec_, context.output.raw(), context.output.bytes());
    copy_columns(exec_, channels_, x.reshaped(matrix(x.shape())), 0,
                 context.output.reshaped(matrix(context.output.shape())), options_.before);
  }

  void backward(const LayerContext& context) override {
    const Tensor& gradient = context.input_gradients[0];
    if (!gradient) return;
    copy_columns(exec_, channels_, context.output_gradient.reshaped(matrix(context.output_gradient.shape())),
                 options_.before, gradient.reshaped(matrix(gradient.shape())), 0);
  }

 private:
  PadChannelsOptions options_;
  int64_t channels_ = 0;  ///< of the input
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<PadChannelsOptions> pad_channels = {
    "pad_channels",
    "adds channels of zeros, as for shortcuts without parameters",
    {{"before", &PadChannelsOptions::before, "channels before the input's", at_least(0)},
     {"after", &PadChannelsOptions::after, "channels after the input's", at_least(0)}},
    make_layer<PadChannelsLayer>};
}  // namespace layers

}  // namespace lockstep
