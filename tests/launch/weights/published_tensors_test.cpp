#include "launch/weights/published_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

using Shapes = std::map<std::string, Shape>;

void expect_among(const Shapes& actual, const Shapes& expected) {
  for (const auto& [name, shape] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_EQ(to_string(actual.at(name)), to_string(shape)) << name;
  }
}

Shapes shapes(const Graph& graph, const Naming& naming) {
  Shapes result;
  for (const PublishedTensor& tensor : published_tensors(graph, ParameterLayout(graph), naming))
    result[tensor.name] = tensor.shape;
  return result;
}

/// A model at its published size, under the names of a library.
Shapes published(const std::string& model, const std::string& library) {
  const ModelUse& use = find_model(model)->standard;
  const Graph graph = build_model({.name = model}, use.input, use.output, 1);
  for (const Naming& naming : namings_of({.name = model}))
    if (naming.library == library) return shapes(graph, naming);
  ADD_FAILURE() << model << " has no names of " << library;
  return {};
}

TEST(PublishedTensors, OfVisionTransformersAreThoseOfTorchvisionAndTimm) {
  const std::string block = "encoder.layers.encoder_layer_11.";
  expect_among(published("vit_base", "torchvision"),
               {{"class_token", Shape{1, 1, 768}},
                {"encoder.pos_embedding", Shape{1, 197, 768}},
                {"conv_proj.weight", Shape{768, 3, 16, 16}},
                {block + "self_attention.in_proj_weight", Shape{2304, 768}},
                {block + "mlp.0.weight", Shape{3072, 768}},
                {"heads.head.bias", Shape{1000}}});
  expect_among(published("vit_base", "torchvision-hub"),
               {{"class_token", Shape{1, 1, 768}}, {block + "mlp.linear_2.weight", Shape{768, 3072}}});
  const auto timm = published("vit_base", "timm");
  expect_among(timm, {{"cls_token", Shape{1, 1, 768}},
                      {"pos_embed", Shape{1, 197, 768}},
                      {"patch_embed.proj.weight", Shape{768, 3, 16, 16}},
                      {"blocks.11.norm1.weight", Shape{768}},
                      {"blocks.11.attn.qkv.weight", Shape{2304, 768}},
                      {"blocks.11.attn.qkv.bias", Shape{2304}},
                      {"blocks.11.attn.proj.weight", Shape{768, 768}},
                      {"blocks.11.norm2.bias", Shape{768}},
                      {"blocks.11.mlp.fc1.weight", Shape{3072, 768}},
                      {"blocks.11.mlp.fc2.weight", Shape{768, 3072}},
                      {"norm.weight", Shape{768}},
                      {"head.weight", Shape{1000, 768}}});
  EXPECT_EQ(timm.size(), 152u);  // of timm's vit_base_patch16_224
}

TEST(PublishedTensors, OfGpt2AreThoseOfHuggingFace) {
  expect_among(published("gpt2", "huggingface"), {{"wte.weight", Shape{50257, 768}},
                                                  {"wpe.weight", Shape{1024, 768}},
                                                  {"h.11.attn.c_attn.weight", Shape{768, 2304}},
                                                  {"h.11.attn.c_attn.bias", Shape{2304}},
                                                  {"h.11.mlp.c_fc.weight", Shape{768, 3072}},
                                                  {"h.11.mlp.c_proj.weight", Shape{3072, 768}},
                                                  {"ln_f.bias", Shape{768}}});
  EXPECT_EQ(published("gpt2", "huggingface").size(), 148u);

  const ModelEntry& entry = *find_model("gpt2");
  const Graph graph =
      build_model({.name = "gpt2", .keys = entry.small.keys}, entry.small.input, entry.small.output, 1);
  for (const PublishedTensor& tensor : published_tensors(graph, ParameterLayout(graph), entry.namings[0])) {
    if (tensor.name == "wte.weight") {
      EXPECT_THAT(tensor.tied, ElementsAre("lm_head.weight"));
    }
    if (tensor.name != "h.0.mlp.c_fc.weight") continue;
    std::vector<float> own(8 * 32);  // (out, in) = (32, 8)
    std::iota(own.begin(), own.end(), 0.0f);
    const std::vector<float> there = published_order(tensor, own);
    EXPECT_EQ(there[1], own[8]);
    EXPECT_EQ(there[32 * 3 + 5], own[8 * 5 + 3]);
  }
}

TEST(PublishedTensors, OfDenseNetAreAlsoThoseOfTorchvisionsHub) {
  const auto hub = published("densenet121", "torchvision-hub");
  expect_among(hub, {{"features.conv0.weight", Shape{64, 3, 7, 7}},
                     {"features.denseblock1.denselayer1.norm.1.running_mean", Shape{64}},
                     {"features.denseblock1.denselayer1.conv.2.weight", Shape{32, 128, 3, 3}},
                     {"features.transition1.norm.weight", Shape{256}},
                     {"features.norm5.weight", Shape{1024}}});
  EXPECT_EQ(hub.size(), published("densenet121", "torchvision").size());
}

/// The values of a tensor in the library's order, when ours are 0, 1, 2, ...
std::vector<float> order_of(const Graph& graph, const std::string& name) {
  for (const PublishedTensor& tensor :
       published_tensors(graph, ParameterLayout(graph), {.library = "PyTorch"})) {
    if (tensor.name != name) continue;
    std::vector<float> own(static_cast<size_t>(tensor.shape.elements()));
    std::iota(own.begin(), own.end(), 0.0f);
    return published_order(tensor, own);
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(PublishedTensors, BehindFlattenedImagesReadTheChannelSlowest) {
  Graph graph({2, 1, 3});  // as stored: (position, channel)
  graph.add("flatten", layers::flatten());
  graph.add("norm", layers::batch_norm());
  graph.add("drop", layers::dropout());
  graph.add("head", layers::linear({.outputs = 6}));
  graph.add("last", layers::linear({.outputs = 1}));
  EXPECT_THAT(order_of(graph, "norm.weight"), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(order_of(graph, "norm.running_var"), ElementsAre(0, 3, 1, 4, 2, 5));
  const std::vector<float> head = order_of(graph, "head.weight");
  EXPECT_THAT(std::vector<float>(head.begin(), head.begin() + 12),
              ElementsAre(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11));
  EXPECT_THAT(order_of(graph, "head.bias"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(order_of(graph, "last.weight"), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(PublishedTensors, BehindFlattenedSignalsReadTheChannelSlowestAndBehindSequencesDoNot) {
  Graph signal({4, 1});
  signal.add("conv", layers::conv1d({.filters = 2, .kernel = 3}));
  signal.add("flatten", layers::flatten());
  signal.add("head", layers::linear({.outputs = 1}));
  EXPECT_THAT(order_of(signal, "head.weight"), ElementsAre(0, 2, 1, 3));

  Graph sequence({2, 3});
  sequence.add("linear", layers::linear({.outputs = 2}));
  sequence.add("flatten", layers::flatten());
  sequence.add("head", layers::linear({.outputs = 1}));
  EXPECT_THAT(order_of(sequence, "head.weight"), ElementsAre(0, 1, 2, 3));
}

TEST(PublishedTensors, OfEveryModelHaveDifferentNamesAndComeBack) {
  for (const ModelEntry& entry : model_registry()) {
    SCOPED_TRACE(entry.name);
    const Graph graph =
        build_model({.name = entry.name, .keys = entry.small.keys}, entry.small.input, entry.small.output, 1);
    for (const Naming& naming : namings_of({.name = entry.name})) {
      SCOPED_TRACE(naming.library);
      std::set<std::string> names;
      for (const PublishedTensor& tensor : published_tensors(graph, ParameterLayout(graph), naming)) {
        EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
        EXPECT_EQ(tensor.shape.elements(), tensor.own.shape.elements()) << tensor.name;
        std::vector<float> own(static_cast<size_t>(tensor.shape.elements()));
        std::iota(own.begin(), own.end(), 0.0f);
        EXPECT_EQ(own_order(tensor, published_order(tensor, own)), own) << tensor.name;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
