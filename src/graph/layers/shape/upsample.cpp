#include "src/graph/layers/shape/upsample.h"

#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/ops/shape/upsample.h"

namespace lockstep {

namespace {

class UpsampleLayer final : public Layer {
 public:
  explicit UpsampleLayer(const UpsampleOptions& options) : options_(options) {}

  std::string kind() const override { return "upsample"; }
  std::string describe() const override {
    return fmt::format("{} by {}", options_.linear ? "linear" : "nearest", to_string(options_.factor));
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<UpsampleLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = spatial_input(inputs);
    const int axes = input.rank() - 1;
    check_axes("factor", options_.factor, axes);
    spec_ = {.channels = input[-1], .linear = options_.linear};
    std::vector<int64_t> output;
    for (int axis = 0; axis < axes; ++axis) {
      const auto at = static_cast<size_t>(Extents::kMaxAxes - axes + axis);
      spec_.extents[at] = input[axis];
      spec_.factors[at] = options_.factor[axis];
      output.push_back(spec_.outputs(at));
    }
    output.push_back(input[-1]);
    return {DType::f32, Shape(output)};
  }

  LayerTraits traits() const override { return {}; }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    spec_.samples = preparation.samples;
  }

  void forward(const LayerContext& context) override {
    upsample_forward(exec_, spec_, context.inputs[0].reshaped(input_shape()),
                     context.output.reshaped(output_shape()));
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.input_gradients[0])
      upsample_backward(exec_, spec_, context.output_gradient.reshaped(output_shape()),
                        gradient.reshaped(input_shape()));
  }

 private:
  Shape input_shape() const {
    return {spec_.samples, spec_.extents[0], spec_.extents[1], spec_.extents[2], spec_.channels};
  }
  Shape output_shape() const {
    return {spec_.samples, spec_.outputs(0), spec_.outputs(1), spec_.outputs(2), spec_.channels};
  }

  UpsampleOptions options_;
  UpsampleSpec spec_;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<UpsampleOptions> upsample = {
    "upsample",
    "enlarges each spatial axis by repeating or interpolating values",
    {{"factor", &UpsampleOptions::factor, "by which each axis grows", at_least(1)},
     {"linear", &UpsampleOptions::linear, "interpolate (bilinear for images) instead of repeating"}},
    make_layer<UpsampleLayer>};
}  // namespace layers

}  // namespace lockstep
