#include "src/graph/layers/attention/attention.h"

#include "src/graph/layers/attention/attention_shapes.h"

namespace lockstep {

namespace {

class AttentionLayer final : public Layer {
 public:
  explicit AttentionLayer(const AttentionSpec& spec) : spec_(spec) {}

  std::string kind() const override { return "attention"; }
  std::string describe() const override { return in_words(spec_); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<AttentionLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = attention_input(inputs, spec_, 3);
    masked_ = inputs.size() == 2;
    positions_ = input[0];
    channels_ = input[1] / 3;
    return {DType::f32, {positions_, channels_}};
  }

  LayerTraits traits() const override {
    return {.backward_reads_input = true, .backward_reads_output = true};
  }
  int64_t flops() const override { return attention_flops(spec_, positions_, channels_); }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    samples_ = preparation.samples;
    type_ = preparation.type;
    spec_.engines = choose_attention_engines(exec_, spec_, qkv_shape(), type_, masked_);
  }
  std::vector<Value> saved() const override { return {{DType::f32, {samples_, spec_.heads, positions_}}}; }
  size_t workspace_bytes() const override {
    return attention_workspace_bytes(exec_, spec_, qkv_shape(), type_);
  }

  void forward(const LayerContext& context) override {
    attention_forward(exec_, applied(spec_, context), attention_inputs(context, context.inputs[0]),
                      context.output, context.saved[0], context.workspace);
  }

  void backward(const LayerContext& context) override {
    clear_mask_gradient(exec_, context);
    if (!context.input_gradients[0]) return;
    attention_backward(exec_, applied(spec_, context), attention_inputs(context, context.inputs[0]),
                       context.output, context.saved[0], context.output_gradient, context.input_gradients[0],
                       context.workspace);
  }

 private:
  Shape qkv_shape() const { return {samples_, positions_, 3 * channels_}; }

  AttentionSpec spec_;
  bool masked_ = false;
  int64_t positions_ = 0, channels_ = 0, samples_ = 0;
  DType type_ = DType::f32;
  Exec exec_;
};

std::unique_ptr<Layer> make(const AttentionOptions& options, const LayerIdentity& identity) {
  return std::make_unique<AttentionLayer>(
      attention_spec(options.heads, options.causal, options.dropout, identity));
}

}  // namespace

namespace layers {
const Description<AttentionOptions> attention = {
    "attention",
    "each position's mean of the values of all, weighted by queries and keys; a second input is a mask",
    {{"heads", &AttentionOptions::heads, "number of heads, which divides the channels", at_least(1), true},
     {"causal", &AttentionOptions::causal, "positions read only themselves and earlier ones"},
     {"dropout", &AttentionOptions::dropout, "probability that a weight is set to zero in training",
      kFraction}},
    make};
}  // namespace layers

}  // namespace lockstep
