#include "src/graph/layers/shape/pad.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/ops/shape/pad.h"

namespace lockstep {

namespace {

class PadLayer final : public Layer {
 public:
  explicit PadLayer(const PadOptions& options) : options_(options) {}

  std::string kind() const override { return "pad"; }
  std::string describe() const override {
    return fmt::format("zeros: {} before, {} after", to_string(options_.before), to_string(options_.after));
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<PadLayer>(*this); }
  LayerTraits traits() const override { return {}; }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = spatial_input(inputs);
    const int axes = input.rank() - 1;
    check_axes("before", options_.before, axes);
    check_axes("after", options_.after, axes);
    spec_ = {.channels = input[-1]};
    std::vector<int64_t> output;
    for (int axis = 0; axis < axes; ++axis) {
      const auto at = static_cast<size_t>(Extents::kMaxAxes - axes + axis);
      spec_.extents[at] = input[axis];
      spec_.before[at] = options_.before[axis];
      spec_.after[at] = options_.after[axis];
      output.push_back(spec_.outputs(at));
    }
    output.push_back(input[-1]);
    return {DType::f32, Shape(output)};
  }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    spec_.samples = preparation.samples;
  }

  void forward(const LayerContext& context) override {
    pad_forward(exec_, spec_, context.inputs[0].reshaped(spec_.input_shape()),
                context.output.reshaped(spec_.output_shape()));
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.input_gradients[0])
      pad_backward(exec_, spec_, context.output_gradient.reshaped(spec_.output_shape()),
                   gradient.reshaped(spec_.input_shape()));
  }

 private:
  PadOptions options_;
  PadSpec spec_;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<PadOptions> pad = {
    "pad",
    "zeros around the input",
    {{"before", &PadOptions::before, "zeros before the first element of each axis", at_least(0)},
     {"after", &PadOptions::after, "zeros after the last element of each axis", at_least(0)}},
    make_layer<PadLayer>};
}  // namespace layers

}  // namespace lockstep
