#include <algorithm>
#include <optional>

#include "src/graph/layers/attention/attention.h"
#include "src/graph/layers/attention/attention_shapes.h"
#include "src/ops/matmul/linear.h"

namespace lockstep {

namespace {

/// Three operations in one layer, because PyTorch's module has the parameters of all.
class MultiheadAttentionLayer final : public Layer {
 public:
  MultiheadAttentionLayer(const AttentionSpec& spec, bool bias) : spec_(spec), bias_(bias) {}

  std::string kind() const override { return "multihead_attention"; }
  std::string describe() const override { return in_words(spec_) + (bias_ ? "" : ", no bias"); }
  std::unique_ptr<Layer> clone() const override {
    auto copy = std::make_unique<MultiheadAttentionLayer>(spec_, bias_);
    copy->positions_ = positions_;
    copy->channels_ = channels_;
    copy->masked_ = masked_;
    return copy;
  }

  Value infer(std::span<const Value> inputs) override {
    const Shape& input = attention_input(inputs, spec_, 1);
    positions_ = input[0];
    channels_ = input[1];
    masked_ = inputs.size() == 2;
    return {DType::f32, input};
  }

  /// Initialized as in PyTorch.
  std::vector<ParameterSpec> parameters() const override {
    const int64_t c = channels_;
    const ParameterSpec in{"in_proj_weight", {3 * c, c}, Init::glorot_uniform, c, 3 * c};
    const ParameterSpec out{"out_proj.weight", {c, c}, Init::kaiming_torch, c, c};
    if (!bias_) return {in, out};
    return {in,
            {"in_proj_bias", {3 * c}, Init::zeros, c, 3 * c, false},
            out,
            {"out_proj.bias", {c}, Init::zeros, c, c, false}};
  }

  LayerTraits traits() const override {
    return {
        .backward_reads_input = true, .applies_sum = true, .adds_to_gradient = true, .skips_frozen = true};
  }
  int64_t flops() const override {
    return 8 * positions_ * channels_ * channels_ + attention_flops(spec_, positions_, channels_);
  }

  void prepare(const Preparation& p) override {
    exec_ = p.exec;
    samples_ = p.samples;
    const int64_t rows = samples_ * positions_;
    type_ = p.type;
    const auto linear = [&](int64_t outputs) {
      return LinearSpec{.rows = rows,
                        .in = channels_,
                        .out = outputs,
                        .bias = bias_,
                        .type = type_,
                        .result = type_,
                        .tf32 = p.tf32};
    };
    LinearSpec in = linear(3 * channels_), out = linear(channels_);
    in.needs_dx = p.needs_input_gradient;
    in.adds_to_dx = p.adds_to_gradient;
    out.adds = p.adds;
    in_.emplace(exec_, in);
    out_.emplace(exec_, out);
    spec_.engines = choose_attention_engines(exec_, spec_, qkv_shape(), type_, masked_);
  }

  std::vector<Value> saved() const override {
    return {{type_, qkv_shape()},
            {type_, {samples_, positions_, channels_}},
            {DType::f32, {samples_, spec_.heads, positions_}}};
  }
  size_t workspace_bytes() const override {
    return scratch_bytes() + aligned(gradient_bytes()) + 3 * gradient_bytes();
  }

  void forward(const LayerContext& context) override {
    const auto& [qkv, y, log_sums] = saved_of(context);
    const Tensor scratch = scratch_of(context);
    in_->forward(rows(context.inputs[0]), weight(context, 0), bias(context, 0), rows(qkv), scratch);
    attention_forward(exec_, applied(spec_, context), attention_inputs(context, qkv), y, log_sums, scratch);
    out_->forward(rows(ConstTensor(y)), weight(context, 1), bias(context, 1), rows(context.output), scratch,
                  context.added ? rows(context.added) : context.added);
  }

  void backward(const LayerContext& context) override {
    const auto& [qkv, y, log_sums] = saved_of(context);
    const Tensor scratch = scratch_of(context);
    char* const gradients = static_cast<char*>(context.workspace.raw()) + scratch_bytes();
    const Tensor dy(gradients, type_, y.shape());
    const Tensor dqkv(gradients + aligned(gradient_bytes()), type_, qkv.shape());
    out_->backward(rows(ConstTensor(y)), weight(context, 1), {}, rows(context.output_gradient), rows(dy),
                   weight_gradient(context, 1), bias_gradient(context, 1), scratch);
    attention_backward(exec_, applied(spec_, context), attention_inputs(context, qkv), y, log_sums, dy, dqkv,
                       scratch);
    const Tensor dx = context.input_gradients[0];
    in_->backward(rows(context.inputs[0]), weight(context, 0), {}, rows(dqkv), dx ? rows(dx) : dx,
                  weight_gradient(context, 0), bias_gradient(context, 0), scratch);
    if (context.added_gradient) copy_unless_shared(exec_, context.output_gradient, context.added_gradient);
    clear_mask_gradient(exec_, context);
  }

 private:
  struct Saved {
    Tensor qkv, y, log_sums;
  };
  static Saved saved_of(const LayerContext& context) {
    return {context.saved[0], context.saved[1], context.saved[2]};
  }

  /// (rows, C) of a tensor (N, T, C).
  template <typename AnyTensor>
  static AnyTensor rows(const AnyTensor& tensor) {
    const int64_t channels = tensor.shape()[-1];
    return tensor.reshaped({tensor.shape()[0] * tensor.shape()[1], channels});
  }

  // Of projection 0 or 1. Biases may be absent.
  size_t index(size_t projection) const { return (bias_ ? 2 : 1) * projection; }
  ConstTensor weight(const LayerContext& context, size_t projection) const {
    return context.parameters[index(projection)];
  }
  ConstTensor bias(const LayerContext& context, size_t projection) const {
    return bias_ ? context.parameters[index(projection) + 1] : ConstTensor{};
  }
  Tensor weight_gradient(const LayerContext& context, size_t projection) const {
    return context.parameter_gradients[index(projection)];
  }
  Tensor bias_gradient(const LayerContext& context, size_t projection) const {
    return bias_ ? context.parameter_gradients[index(projection) + 1] : Tensor{};
  }

  // The workspace holds scratch memory of the operation that runs, then the gradients of y and of qkv.
  static size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }
  Shape qkv_shape() const { return {samples_, positions_, 3 * channels_}; }
  size_t gradient_bytes() const {
    return static_cast<size_t>(samples_ * positions_ * channels_) * size_of(type_);
  }
  size_t scratch_bytes() const {
    return aligned(std::max({in_->workspace_bytes(), out_->workspace_bytes(),
                             attention_workspace_bytes(exec_, spec_, qkv_shape(), type_)}));
  }
  Tensor scratch_of(const LayerContext& context) const {
    return {context.workspace.raw(), DType::u8, {static_cast<int64_t>(scratch_bytes())}};
  }

  AttentionSpec spec_;
  bool bias_, masked_ = false;
  int64_t positions_ = 0, channels_ = 0, samples_ = 0;
  DType type_ = DType::f32;
  Exec exec_;
  std::optional<Linear> in_, out_;
};

std::unique_ptr<Layer> make(const MultiheadAttentionOptions& options, const LayerIdentity& identity) {
  return std::make_unique<MultiheadAttentionLayer>(
      attention_spec(options.heads, options.causal, options.dropout, identity), options.bias);
}

}  // namespace

namespace layers {
const Description<MultiheadAttentionOptions> multihead_attention = {
    "multihead_attention",
    "attention with its linear layers for queries, keys and values and for the output; a second input is a "
    "mask",
    {{"heads", &MultiheadAttentionOptions::heads, "number of heads, which divides the channels", at_least(1),
      true},
     {"causal", &MultiheadAttentionOptions::causal, "positions read only themselves and earlier ones"},
     {"dropout", &MultiheadAttentionOptions::dropout, "probability that a weight is set to zero in training",
      kFraction},
     {"bias", &MultiheadAttentionOptions::bias, "add biases"}},
    make};
}  // namespace layers

}  // namespace lockstep
