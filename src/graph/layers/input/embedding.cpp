#include "src/graph/layers/input/embedding.h"

#include <algorithm>

#include "src/core/counted.h"
#include "src/ops/input/embedding.h"

namespace lockstep {

namespace {

constexpr char kKind[] = "embedding";

class EmbeddingLayer final : public Layer {
 public:
  explicit EmbeddingLayer(const EmbeddingOptions& options) : options_(options) {}

  std::string kind() const override { return kKind; }
  std::string describe() const override {
    return fmt::format("{} of {}", counted(options_.entries, "vector"), counted(options_.width, "number"));
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<EmbeddingLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() != 1) fail(ExitCode::usage, "takes one input, not {}.", inputs.size());
    if (inputs[0].dtype != DType::i32)
      fail(ExitCode::usage,
           "takes token ids (int32), but its input is {}. Data of token ids is trained with data.task = "
           "\"tokens\".",
           to_string(inputs[0].dtype));
    ids_ = inputs[0].shape.elements();
    std::vector<int64_t> extents = extents_of(inputs[0].shape);
    if (extents.size() + 1 >= Shape::kMaxRank)
      fail(ExitCode::usage, "its input {} has too many axes.", to_string(inputs[0].shape));
    extents.push_back(options_.width);
    return {DType::f32, Shape(extents)};
  }

  std::vector<ParameterSpec> parameters() const override {
    return {{.name = "weight",
             .shape = {options_.entries, options_.width},
             .init = options_.init,
             .fan_in = options_.entries,
             .fan_out = options_.width,
             .deviation = options_.deviation}};
  }

  LayerTraits traits() const override { return {.backward_reads_input = true, .skips_frozen = true}; }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    rows_ = preparation.samples * ids_;
  }

  size_t workspace_bytes() const override { return embedding_workspace_bytes(exec_, rows_); }

  void forward(const LayerContext& context) override {
    embedding_forward(exec_, context.inputs[0].reshaped({rows_}), context.parameters[0],
                      context.output.reshaped({rows_, options_.width}));
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.parameter_gradients[0])
      embedding_backward(exec_, context.inputs[0].reshaped({rows_}),
                         context.output_gradient.reshaped({rows_, options_.width}), gradient,
                         context.workspace);
  }

 private:
  EmbeddingOptions options_;
  int64_t ids_ = 1;   ///< of a sample
  int64_t rows_ = 0;  ///< ids of a micro-batch
  Exec exec_;
};

}  // namespace

void check_entries(const Graph& graph, int64_t ids) {
  for (const Graph::Node& node : graph.nodes()) {
    if (node.layer->kind() != kKind || node.inputs[0] != 0) continue;
    const int64_t entries = node.layer->parameters()[0].shape[0];
    if (entries < ids)
      fail(ExitCode::usage,
           "layer '{}' has {}, but the ids of the data are 0 to {}. Set its entries to {}, or to \"classes\" "
           "where each id is a class too.",
           node.name, counted(entries, "entry", "entries"), ids - 1, ids);
  }
}

namespace layers {
const Description<EmbeddingOptions> embedding = {
    kKind,
    "looks up a trained vector for each token id",
    {{"entries", &EmbeddingOptions::entries, "number of ids", at_least(1), true, true},
     {"width", &EmbeddingOptions::width, "length of each vector", at_least(1), true},
     {"init", &EmbeddingOptions::init, "initialization of the vectors"},
     {"deviation", &EmbeddingOptions::deviation, "standard deviation of init = \"normal\"", kPositive}},
    make_layer<EmbeddingLayer>};
}  // namespace layers

}  // namespace lockstep
