#include "src/graph/layers/pointwise/activation.h"

#include <utility>

#include "src/graph/layers/shapes.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

namespace {

std::string words(const ActivationSpec& spec) {
  switch (spec.function) {
    case Activation::leaky_relu:
      return fmt::format("slope {:g} below 0", spec.alpha);
    case Activation::elu:
      return fmt::format("alpha {:g}", spec.alpha);
    case Activation::gelu_tanh:
      return "approximate";
    default:
      return "elementwise";
  }
}

class ActivationLayer final : public Layer {
 public:
  ActivationLayer(std::string kind, const ActivationSpec& spec) : kind_(std::move(kind)), spec_(spec) {}

  std::string kind() const override { return kind_; }
  std::string describe() const override { return words(spec_); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<ActivationLayer>(*this); }
  Value infer(std::span<const Value> inputs) override { return only_input(inputs); }

  LayerTraits traits() const override {
    const bool reads_input = backward_reads_input(spec_.function);
    return {.backward_reads_input = reads_input,
            .backward_reads_output = !reads_input,
            .forward_in_place = !reads_input,
            .backward_in_place = true,
            .activation = spec_.function};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    activation_forward(exec_, spec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (!context.input_gradients[0]) return;
    const ConstTensor saved =
        backward_reads_input(spec_.function) ? context.inputs[0] : ConstTensor(context.output);
    activation_backward(exec_, spec_, saved, context.output_gradient, context.input_gradients[0]);
  }

 private:
  std::string kind_;
  ActivationSpec spec_;
  Exec exec_;
};

template <Activation kFunction>
std::unique_ptr<Layer> make(const NoOptions&, const LayerIdentity&) {
  return std::make_unique<ActivationLayer>(to_string(kFunction), kFunction);
}

std::unique_ptr<Layer> make_leaky_relu(const LeakyReluOptions& options, const LayerIdentity&) {
  const ActivationSpec spec(Activation::leaky_relu, static_cast<float>(options.slope));
  return std::make_unique<ActivationLayer>("leaky_relu", spec);
}

std::unique_ptr<Layer> make_elu(const EluOptions& options, const LayerIdentity&) {
  return std::make_unique<ActivationLayer>(
      "elu", ActivationSpec(Activation::elu, static_cast<float>(options.alpha)));
}

std::unique_ptr<Layer> make_gelu(const GeluOptions& options, const LayerIdentity&) {
  return std::make_unique<ActivationLayer>("gelu",
                                           options.approximate ? Activation::gelu_tanh : Activation::gelu);
}

}  // namespace

namespace layers {
const Description<NoOptions> relu = {"relu", "max(0, x)", {}, make<Activation::relu>};
const Description<NoOptions> relu6 = {"relu6", "min(max(0, x), 6)", {}, make<Activation::relu6>};
const Description<NoOptions> sigmoid = {"sigmoid", "1 / (1 + exp(-x))", {}, make<Activation::sigmoid>};
const Description<NoOptions> tanh = {"tanh", "hyperbolic tangent", {}, make<Activation::tanh>};
const Description<NoOptions> silu = {"silu", "x sigmoid(x), also called Swish", {}, make<Activation::silu>};
const Description<NoOptions> hard_swish = {
    "hard_swish", "x relu6(x + 3) / 6", {}, make<Activation::hard_swish>};
const Description<NoOptions> softplus = {"softplus", "log(1 + exp(x))", {}, make<Activation::softplus>};
const Description<LeakyReluOptions> leaky_relu = {
    "leaky_relu",
    "x, or slope x below 0",
    {{"slope", &LeakyReluOptions::slope, "factor on negative values", kNotNegative}},
    make_leaky_relu};
const Description<EluOptions> elu = {
    "elu",
    "x, or alpha (exp(x) - 1) below 0",
    {{"alpha", &EluOptions::alpha, "minus the limit of large negative values", kNotNegative}},
    make_elu};
const Description<GeluOptions> gelu = {"gelu",
                                       "x times the normal distribution function of x",
                                       {{"approximate", &GeluOptions::approximate, "by tanh, as in GPT-2"}},
                                       make_gelu};
}  // namespace layers

const std::vector<LayerKind>& activation_kinds() {
  static const std::vector<LayerKind> kinds = {
      layers::relu.by_name(),     layers::leaky_relu.by_name(), layers::relu6.by_name(),
      layers::elu.by_name(),      layers::sigmoid.by_name(),    layers::tanh.by_name(),
      layers::gelu.by_name(),     layers::silu.by_name(),       layers::hard_swish.by_name(),
      layers::softplus.by_name(),
  };
  return kinds;
}

}  // namespace lockstep
