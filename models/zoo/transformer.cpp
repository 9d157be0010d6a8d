#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "models/zoo/architectures.h"
#include "models/zoo/sequences.h"
#include "src/core/error.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

namespace {

constexpr int kNoMask = -1;

/// An encoder under construction: layers have the names that PyTorch's TransformerEncoder gives them.
struct Encoder {
  Graph graph;
  int64_t heads, width, feed_forward;
  double dropout;
  bool pre_norm, causal;
  int mask = kNoMask;  ///< the value that is 0 for padding

  void drop(const std::string& name) {
    if (dropout != 0) graph.add(name, layers::dropout({.rate = dropout}));
  }

  /// Adds what `add_layers` adds to the residual stream, normalized before or after.
  template <typename AddLayers>
  void residual(const std::string& name, const std::string& norm, const AddLayers& add_layers) {
    const int before = graph.output();
    if (pre_norm) graph.add(norm, layers::layer_norm());
    add_layers();
    graph.add(name, layers::add(), {before, graph.output()});
    if (!pre_norm) graph.add(norm, layers::layer_norm());
  }

  void add_attention(const std::string& name) {
    std::vector<int> inputs = {graph.output()};
    if (mask != kNoMask) inputs.push_back(mask);
    graph.add(name, layers::multihead_attention({.heads = heads, .causal = causal, .dropout = dropout}),
              inputs);
  }

  void add_block(const std::string& name) {
    residual(name + ".add1", name + ".norm1", [&] {
      add_attention(name + ".self_attn");
      drop(name + ".dropout1");
    });
    residual(name + ".add2", name + ".norm2", [&] {
      graph.add(name + ".linear1", layers::linear({.outputs = feed_forward}));
      graph.add(name + ".relu", layers::relu());
      drop(name + ".dropout");
      graph.add(name + ".linear2", layers::linear({.outputs = width}));
      drop(name + ".dropout2");
    });
  }
};

/// Token ids become vectors by an embedding, vectors by a linear layer.
void add_embedding(const ModelRequest& request, Encoder& model) {
  Graph& graph = model.graph;
  if (request.input.dtype == DType::i32) {
    const int64_t ids = request.integer("vocabulary");
    if (ids < 1 && !zoo::is_per_position(request))
      fail(ExitCode::usage, "model.vocabulary must be the number of token ids.");
    if (const int64_t padding = request.integer("padding"); padding >= 0)
      model.mask = graph.add("mask", layers::padding_mask({.padding = padding}));
    graph.add("embedding",
              layers::embedding({.entries = ids < 1 ? request.output.width : ids, .width = model.width}),
              {0});
  } else {
    // A sequence of vectors may have come as an image of one channel.
    const Shape& input = request.input.shape;
    if (input.rank() == 3 && input[2] == 1) graph.add("vectors", layers::flatten({.first = 1}));
    graph.add("embedding", layers::linear({.outputs = model.width}));
  }
  graph.add("positions", layers::positional_embedding(
                             {.positions = request.integer("context"), .init = Init::sinusoidal}));
  model.drop("dropout");
}

Graph build_transformer(const ModelRequest& request) {
  Encoder model{.graph = Graph(request.input, request.seed),
                .heads = zoo::count_of(request, "heads"),
                .width = zoo::count_of(request, "width"),
                .feed_forward = zoo::count_of(request, "feed_forward"),
                .dropout = request.number("dropout"),
                .pre_norm = request.flag("pre_norm"),
                .causal = request.flag("causal")};
  add_embedding(request, model);
  const int64_t blocks = zoo::count_of(request, "layers");
  for (int64_t i = 0; i < blocks; ++i) model.add_block(fmt::format("layers.{}", i));
  Graph& graph = model.graph;
  if (model.pre_norm) graph.add("norm", layers::layer_norm());
  if (zoo::is_per_position(request)) {
    graph.add("classifier", layers::linear({.outputs = request.output.width}));
  } else {
    std::vector<int> inputs = {graph.output()};
    if (model.mask != kNoMask) inputs.push_back(model.mask);
    graph.add("mean", layers::mean_positions(), inputs);
    graph.add("classifier", layers::linear({.outputs = request.output.elements()}));
  }
  return std::move(model.graph);
}

}  // namespace

std::vector<ModelEntry> zoo::transformer_models() {
  return {
      {.name = "transformer",
       .description = "encoder of a transformer on token ids or vectors, with the mean of the positions "
                      "as the features of a sample; positions start as sinusoids and are trained",
       .paper = "Vaswani et al. 2017, arXiv:1706.03762",
       .keys = {{"layers", "number of encoder blocks", int64_t{6}},
                {"heads", "heads of attention, which divide the width", int64_t{8}},
                {"width", "channels of a position", int64_t{512}},
                {"feed_forward", "channels between the two linear layers of a block", int64_t{2048}},
                {"dropout", "probability of zero in attention, and after each layer of a block", 0.1},
                {"pre_norm", "normalize before attention and linear layers instead of after", false},
                {"causal", "positions read only themselves and earlier ones", false},
                {"context", "largest number of positions; 0: that of the samples", int64_t{0}},
                {"vocabulary", "number of token ids; 0: as many as classes, for a class at each position",
                 int64_t{0}},
                {"padding", "token id that fills up short sequences and is ignored; -1: none", int64_t{-1}}},
       .build = build_transformer,
       .standard = {{DType::f32, {128, 64}}, {10}},
       .small = {{DType::i32, {7}},
                 {4},
                 {{"layers", int64_t{2}},
                  {"heads", int64_t{2}},
                  {"width", int64_t{8}},
                  {"feed_forward", int64_t{12}},
                  {"dropout", 0.25},
                  {"vocabulary", int64_t{11}},
                  {"padding", int64_t{0}}}}}};
}

}  // namespace lockstep
