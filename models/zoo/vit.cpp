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

constexpr double kEpsilon = 1e-6;

/// A vision transformer under construction: layers have the names that torchvision gives them.
struct Vit {
  Graph graph;
  int64_t heads, width, mlp;
  double dropout;

  void drop(const std::string& name) {
    if (dropout != 0) graph.add(name, layers::dropout({.rate = dropout}));
  }

  void add_block(const std::string& name) {
    const int before = graph.output();
    graph.add(name + ".ln_1", layers::layer_norm({.epsilon = kEpsilon}));
    graph.add(name + ".self_attention", layers::multihead_attention({.heads = heads}));
    drop(name + ".dropout");
    const int between = graph.add(name + ".add_1", layers::add(), {before, graph.output()});
    graph.add(name + ".ln_2", layers::layer_norm({.epsilon = kEpsilon}));
    graph.add(name + ".mlp.0", layers::linear({.outputs = mlp}));
    graph.add(name + ".mlp.1", layers::gelu());
    drop(name + ".mlp.2");
    graph.add(name + ".mlp.3", layers::linear({.outputs = width}));
    drop(name + ".mlp.4");
    graph.add(name + ".add_2", layers::add(), {between, graph.output()});
  }
};

/// Patches as vectors, a class token in front, positions, encoder blocks, and a linear layer on the class
/// token.
Graph build_vit(const ModelRequest& request) {
  const Shape& input = request.input.shape;
  const int64_t patch = zoo::count_of(request, "patch");
  if (input.rank() != 3)
    fail(ExitCode::usage, "it works on images (height, width, channels), but a sample is {}.",
         to_string(input));
  if (input[0] % patch != 0 || input[1] % patch != 0)
    fail(ExitCode::usage, "images of {}x{} cannot be divided into patches of {}x{}: set model.patch.",
         input[0], input[1], patch, patch);
  const int64_t blocks = zoo::count_of(request, "layers"), width = zoo::count_of(request, "width");
  Vit model{Graph(request.input, request.seed), zoo::count_of(request, "heads"), width,
            zoo::count_of(request, "mlp"), request.number("dropout")};
  Graph& graph = model.graph;
  graph.add("conv_proj", layers::conv2d({.filters = width,
                                         .kernel = {patch, patch},
                                         .stride = {patch, patch},
                                         .init = Init::lecun_normal}));
  graph.add("patches", layers::flatten({.last = 1}));
  graph.add("class_token", layers::class_token());
  graph.add("encoder.pos_embedding", layers::positional_embedding({.deviation = 0.02}));
  model.drop("encoder.dropout");
  for (int64_t i = 0; i < blocks; ++i) model.add_block(fmt::format("encoder.layers.encoder_layer_{}", i));
  graph.add("encoder.ln", layers::layer_norm({.epsilon = kEpsilon}));
  graph.add("tokens", layers::flatten());
  graph.add("class", layers::slice({.first = 0, .count = width}));
  graph.add("heads.head", layers::linear({.outputs = request.output.elements(), .init = Init::zeros}));
  return std::move(model.graph);
}

std::vector<Naming> vit_namings() {
  const std::vector<Renaming> torchvision = {
      {"class_token.weight", "class_token", 2},
      {"encoder.pos_embedding.weight", "encoder.pos_embedding", 1},
  };
  // In the weights that torchvision publishes, the linear layers of a block have the names of its first
  // version.
  std::vector<Renaming> hub = torchvision;
  hub.insert(hub.end(), {{".mlp.0.", ".mlp.linear_1."}, {".mlp.3.", ".mlp.linear_2."}});
  return {{.library = "torchvision", .renamings = torchvision},
          {.library = "torchvision-hub", .renamings = hub},
          {.library = "timm",
           .renamings = {{"class_token.weight", "cls_token", 2},
                         {"encoder.pos_embedding.weight", "pos_embed", 1},
                         {"conv_proj.", "patch_embed.proj."},
                         {"encoder.layers.encoder_layer_", "blocks."},
                         {".ln_1.", ".norm1."},
                         {".self_attention.in_proj_", ".attn.qkv."},
                         {".self_attention.out_proj.", ".attn.proj."},
                         {".ln_2.", ".norm2."},
                         {".mlp.0.", ".mlp.fc1."},
                         {".mlp.3.", ".mlp.fc2."},
                         {"encoder.ln.", "norm."},
                         {"heads.head.", "head."}}}};
}

ModelEntry entry(const char* name, const char* description, int64_t width, int64_t heads) {
  return {.name = name,
          .description = description,
          .paper =
              "Dosovitskiy et al. 2021, arXiv:2010.11929; tiny and small: Touvron et al. 2021, "
              "arXiv:2012.12877",
          .keys = {{"patch", "height and width of a patch", int64_t{16}},
                   {"layers", "number of encoder blocks", int64_t{12}},
                   {"heads", "heads of attention, which divide the width", heads},
                   {"width", "channels of a position", width},
                   {"mlp", "channels between the two linear layers of a block", 4 * width},
                   {"dropout", "probability of zero after the positions and each layer of a block", 0.0}},
          .build = build_vit,
          .standard = {{DType::f32, {224, 224, 3}}, {1000}},
          .small = {{DType::f32, {8, 12, 3}},
                    {4},
                    {{"patch", int64_t{4}},
                     {"layers", int64_t{2}},
                     {"heads", int64_t{2}},
                     {"width", int64_t{8}},
                     {"mlp", int64_t{12}},
                     {"dropout", 0.25}}},
          .namings = vit_namings()};
}

}  // namespace

std::vector<ModelEntry> zoo::vit_models() {
  return {entry("vit_tiny", "vision transformer with 6 million parameters", 192, 3),
          entry("vit_small", "vision transformer with 22 million parameters", 384, 6),
          entry("vit_base", "vision transformer with 87 million parameters", 768, 12)};
}

}  // namespace lockstep
