#include "src/ops/pool/pool2d.h"

#include "src/graph/layers/layers.h"
#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

/// What both poolings over windows have in common: the shapes.
class Pool2dLayer : public Layer {
 public:
  explicit Pool2dLayer(const Pool2dOptions& options) : options_(options) {
    if (options_.stride_h == 0) options_.stride_h = options_.window_h;
    if (options_.stride_w == 0) options_.stride_w = options_.window_w;
  }

  std::string describe() const override {
    const Pool2dOptions& o = options_;
    const std::string padding = o.pad_h + o.pad_w > 0 ? ", padding " + both(o.pad_h, o.pad_w) : "";
    return fmt::format("window {}x{}, stride {}{}", o.window_h, o.window_w, both(o.stride_h, o.stride_w),
                       padding);
  }

  Shape infer(std::span<const Shape> inputs) override {
    const Pool2dOptions& o = options_;
    const Shape& input = image_input(inputs);
    check_option("window", o.window_h, 1);
    check_option("window", o.window_w, 1);
    check_option("stride", o.stride_h, 1);
    check_option("stride", o.stride_w, 1);
    check_option("padding", o.pad_h, 0);
    check_option("padding", o.pad_w, 0);
    if (o.pad_h >= o.window_h || o.pad_w >= o.window_w)
      fail(ExitCode::usage, "padding {}x{} must be smaller than the window {}x{}.", o.pad_h, o.pad_w,
           o.window_h, o.window_w);
    check_window_fits("window", o.window_h, o.window_w, o.pad_h, o.pad_w, input);
    spec_ = {1,          input[0],   input[1],   input[2], o.window_h,
             o.window_w, o.stride_h, o.stride_w, o.pad_h,  o.pad_w};
    return {spec_.out_h(), spec_.out_w(), input[2]};
  }

  void prepare(Exec exec, int64_t n, bool) override {
    exec_ = exec;
    spec_.n = n;
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
  LayerTraits traits() const override { return {}; }
  bool commutes_with_relu() const override { return true; }

  Shape infer(std::span<const Shape> inputs) override {
    const Shape output = Pool2dLayer::infer(inputs);
    if (options_.window_h * options_.window_w > 256)
      fail(ExitCode::usage, "window {}x{} holds more than 256 elements, the most this layer takes.",
           options_.window_h, options_.window_w);
    return output;
  }

  std::vector<Saved> saved() const override {
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

  Shape infer(std::span<const Shape> inputs) override {
    const Shape& input = only_input(inputs);
    if (input.rank() < 2)
      fail(ExitCode::usage, "averages the positions of (..., channels), but its input is {}.",
           to_string(input));
    return {input[-1]};
  }

  void prepare(Exec exec, int64_t, bool) override { exec_ = exec; }

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

}  // namespace

std::unique_ptr<Layer> make_max_pool2d(const Pool2dOptions& options) {
  return std::make_unique<MaxPool2dLayer>(options);
}

std::unique_ptr<Layer> make_average_pool2d(const Pool2dOptions& options) {
  return std::make_unique<AveragePool2dLayer>(options);
}

std::unique_ptr<Layer> make_global_average_pool() { return std::make_unique<GlobalAveragePoolLayer>(); }

}  // namespace lockstep
