#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/zoo/architectures.h"
#include "models/zoo/sequences.h"
#include "src/core/error.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

namespace {

constexpr double kDeviation = 0.02;

/// GPT-2 under construction: the layers have the names that Hugging Face gives them.
struct Gpt2 {
  Graph graph;
  int64_t blocks, heads, width;
  double dropout;

  void drop(const std::string& name) {
    if (dropout != 0) graph.add(name, layers::dropout({.rate = dropout}));
  }

  /// A linear layer into the residual stream starts smaller, because 2 * blocks of them are added up there
  /// (Radford et al. 2019, section 2.3).
  void project(const std::string& name) {
    const double deviation = kDeviation / std::sqrt(2 * static_cast<double>(blocks));
    graph.add(name, layers::linear({.outputs = width, .init = Init::normal, .deviation = deviation}));
  }

  void widen(const std::string& name, int64_t factor) {
    graph.add(name,
              layers::linear({.outputs = factor * width, .init = Init::normal, .deviation = kDeviation}));
  }

  void add_block(const std::string& name) {
    const int before = graph.output();
    graph.add(name + ".ln_1", layers::layer_norm());
    widen(name + ".attn.c_attn", 3);
    graph.add(name + ".attn", layers::attention({.heads = heads, .causal = true, .dropout = dropout}));
    project(name + ".attn.c_proj");
    drop(name + ".attn.resid_dropout");
    const int between = graph.add(name + ".add_1", layers::add(), {before, graph.output()});
    graph.add(name + ".ln_2", layers::layer_norm());
    widen(name + ".mlp.c_fc", 4);
    graph.add(name + ".mlp.act", layers::gelu({.approximate = true}));
    project(name + ".mlp.c_proj");
    drop(name + ".mlp.dropout");
    graph.add(name + ".add_2", layers::add(), {between, graph.output()});
  }
};

Graph build_gpt2(const ModelRequest& request) {
  const Shape& input = request.input.shape;
  const int64_t context = zoo::count_of(request, "context");
  if (input.rank() != 1 || !zoo::is_per_position(request))
    fail(
        ExitCode::usage,
        "it predicts the token after each position of a sequence: it needs rows of token ids and data.task = "
        "\"tokens\".");
  if (input[0] > context)
    fail(ExitCode::usage, "model.context = {} is shorter than the sequences, which have {} tokens.", context,
         input[0]);
  Gpt2 model{Graph(request.input, request.seed), zoo::count_of(request, "layers"),
             zoo::count_of(request, "heads"), zoo::count_of(request, "width"), request.number("dropout")};
  Graph& graph = model.graph;
  const int64_t ids = request.output.width, multiple = zoo::count_of(request, "pad_vocabulary");
  const int64_t vocabulary = (ids + multiple - 1) / multiple * multiple;
  graph.add("wte", layers::embedding({.entries = vocabulary, .width = model.width, .deviation = kDeviation}));
  graph.add("wpe", layers::positional_embedding({.positions = context, .deviation = kDeviation}));
  model.drop("drop");
  for (int64_t i = 0; i < model.blocks; ++i) model.add_block(fmt::format("h.{}", i));
  graph.add("ln_f", layers::layer_norm());
  graph.add("lm_head", layers::linear({.outputs = vocabulary, .bias = false}));
  graph.share_parameters("lm_head", "wte");
  // Padding has no probability. In training, the loss leaves its columns out itself: with_padded_output().
  if (vocabulary > ids) graph.add("ids", layers::slice({.count = ids}));
  return std::move(model.graph);
}

std::vector<ModelKey> keys_with(int64_t layers, int64_t heads, int64_t width, int64_t context) {
  return {
      {"layers", "number of blocks", layers},
      {"heads", "heads of attention, which divide the width", heads},
      {"width", "channels of a position", width},
      {"context", "largest number of positions", context},
      {"dropout", "probability of zero in attention, after the embeddings and each layer of a block", 0.1},
      {"pad_vocabulary", "number that the rows of the embedding are padded to a multiple of", int64_t{1}}};
}

/// Hugging Face's linear layers (Conv1D) store weights as (in, out). Its files with a head have the prefix,
/// and older ones the masks of attention.
std::vector<Naming> gpt2_namings() {
  return {{.library = "huggingface",
           .renamings = {{".c_attn.weight", ".c_attn.weight", 0, true},
                         {".c_proj.weight", ".c_proj.weight", 0, true},
                         {".c_fc.weight", ".c_fc.weight", 0, true}},
           .prefix = "transformer.",
           .ignored = {".attn.bias", ".attn.masked_bias"}}};
}

}  // namespace

std::vector<ModelEntry> zoo::gpt2_models() {
  const std::string paper = "Radford et al. 2019, \"Language models are unsupervised multitask learners\"";
  const ModelUse small = {{DType::i32, {7}},
                          {11, {7}},
                          {{"layers", int64_t{2}},
                           {"heads", int64_t{2}},
                           {"width", int64_t{8}},
                           {"context", int64_t{9}},
                           {"dropout", 0.25}}};
  const ModelUse published = {{DType::i32, {1024}}, {50257, {1024}}, {}};
  const ModelUse characters = {{DType::i32, {128}}, {256, {128}}, {}};
  return {
      {.name = "gpt2",
       .description = "GPT-2 with 124 million parameters; 355, 774 and 1558 million with (layers, heads, "
                      "width) = (24, 16, 1024), (36, 20, 1280) and (48, 25, 1600)",
       .paper = paper,
       .keys = keys_with(12, 12, 768, 1024),
       .build = build_gpt2,
       .standard = published,
       .small = small,
       .namings = gpt2_namings()},
      {.name = "gpt2_mini",
       .description = "GPT-2 at a size for characters",
       .paper = paper,
       .keys = keys_with(4, 4, 256, 256),
       .build = build_gpt2,
       .standard = characters,
       .small = small,
       .namings = gpt2_namings()},
  };
}

}  // namespace lockstep
