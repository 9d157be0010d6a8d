#include "src/graph/layers/pool2d.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/pool/pool2d.h"

namespace lockstep {

namespace {

/// The shapes, shared by both kinds of pooling over windows.
class Pool2dLayer : public Layer {
 public:
  explicit Pool2dLayer(const Pool2dOptions& options) : options_(options) {
    const Extents &window = options.window, &stride = options.stride;
    options_.stride = {stride[0] == 0 ? window[0] : stride[0], stride[1] == 0 ? window[1] : stride[1]};
  }

  std::string describe() const override {
    const Pool2dOptions& o = options_;
    const std::string padding = o.padding[0] + o.padding[1] > 0 ? ", padding " + in_words(o.padding) : "";
    return fmt::format("window {}x{}, stride {}{}", o.window[0], o.window[1], in_words(o.stride), padding);
  }

  Value infer(std::span<const Value> inputs) override {
    const Pool2dOptions& o = options_;
    const Shape& input = image_input(inputs);
    check_axes("window", o.window, 2);
    check_axes("stride", o.stride, 2);
    check_axes("padding", o.padding, 2);
    if (o.padding[0] >= o.window[0] || o.padding[1] >= o.window[1])
      fail(ExitCode::usage, "padding {}x{} must be smaller than the window {}x{}.", o.padding[0],
           o.padding[1], o.window[0], o.window[1]);
    check_window_fits("window", o.window[0], o.window[1], o.padding[0], o.padding[1], input);
    spec_ = {1,           input[0],    input[1],    input[2],     o.window[0],
             o.window[1], o.stride[0], o.stride[1], o.padding[0], o.padding[1]};
    return {DType::f32, {spec_.out_h(), spec_.out_w(), input[2]}};
  }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    spec_.n = preparation.samples;
  }

 protected:
  Pool2dOptions options_;
  Pool2dSpec spec_;
  Exec exec_;
};

class MaxPool2dLayer final : public Pool2dLayer {
 public:
  using Pool2dLayer::Pool2dLayer;

  std::string kind() const override { return "max_pool2d"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<MaxPool2dLayer>(*this); }
  LayerTraits traits() const override { return {.commutes_with_relu = true}; }

  Value infer(std::span<const Value> inputs) override {
    const Value output = Pool2dLayer::infer(inputs);
    const Extents& window = options_.window;
    if (window[0] * window[1] > 256)
      fail(ExitCode::usage, "window {}x{} has more than 256 elements, the maximum of this layer.", window[0],
           window[1]);
    return output;
  }

  std::vector<Value> saved() const override {
    return {{DType::u8, {spec_.n, spec_.out_h(), spec_.out_w(), spec_.c}}};
  }

  void forward(const LayerContext& context) override {
    max_pool2d_forward(exec_, spec_, context.inputs[0], context.output, context.saved[0]);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      max_pool2d_backward(exec_, spec_, context.saved[0], context.output_gradient,
                          context.input_gradients[0]);
  }
};

class AveragePool2dLayer final : public Pool2dLayer {
 public:
  using Pool2dLayer::Pool2dLayer;

  std::string kind() const override { return "average_pool2d"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<AveragePool2dLayer>(*this); }
  LayerTraits traits() const override { return {}; }

  void forward(const LayerContext& context) override {
    average_pool2d_forward(exec_, spec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      average_pool2d_backward(exec_, spec_, context.output_gradient, context.input_gradients[0]);
  }
};

class GlobalAveragePoolLayer final : public Layer {
 public:
  std::string kind() const override { return "global_average_pool"; }
  std::string describe() const override { return "mean over all positions"; }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<GlobalAveragePoolLayer>(*this); }
  LayerTraits traits() const override { return {}; }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() < 2)
      fail(ExitCode::usage, "averages the positions of (..., channels), but its input is {}.",
           to_string(input.shape));
    return {input.dtype, {input.shape[-1]}};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    global_average_pool_forward(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      global_average_pool_backward(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  Exec exec_;
};

const std::vector<Description<Pool2dOptions>::Field> kPooling = {
    {"window", &Pool2dOptions::window, "height and width", at_least(1)},
    {"stride", &Pool2dOptions::stride, "steps between windows; 0 is the window's size", at_least(0)},
    {"padding", &Pool2dOptions::padding, "ignored rows and columns around the image", at_least(0)}};

}  // namespace

namespace layers {
const Description<Pool2dOptions> max_pool2d = {"max_pool2d", "largest value of each window", kPooling,
                                               make_layer<MaxPool2dLayer>};
const Description<Pool2dOptions> average_pool2d = {"average_pool2d", "mean of each window, without padding",
                                                   kPooling, make_layer<AveragePool2dLayer>};
const Description<NoOptions> global_average_pool = {
    "global_average_pool", "mean of each channel over all positions", {}, make_layer<GlobalAveragePoolLayer>};
}  // namespace layers

}  // namespace lockstep
