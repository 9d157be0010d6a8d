#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/network.h"
#include "src/ops/loss/loss.h"
#include "src/optim/optimizer.h"
#include "tests/models/zoo/parameter_count.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

using Keys = std::map<std::string, ModelValue>;

Graph gpt2(const Keys& keys, int64_t tokens = 1024, int64_t vocabulary = 50257) {
  return build_model({.name = "gpt2", .keys = keys}, Value{DType::i32, {tokens}}, {vocabulary, {tokens}}, 1);
}

/// The parameters' names and logical shapes.
std::vector<std::string> parameters_of(const Graph& graph) {
  std::vector<std::string> result;
  for (const ParameterLayout::Slot& slot : ParameterLayout(graph).parameters)
    result.push_back(slot.name + " " + to_string(logical_shape(slot)));
  return result;
}

TEST(Sequences, Gpt2HasThePublishedNumbersOfParameters) {
  EXPECT_EQ(parameter_count(gpt2({})), 124439808);
  const auto sized = [](int64_t layers, int64_t heads, int64_t width) {
    return parameter_count(gpt2({{"layers", layers}, {"heads", heads}, {"width", width}}));
  };
  EXPECT_EQ(sized(24, 16, 1024), 354823168);
  EXPECT_EQ(sized(36, 20, 1280), 774030080);
  EXPECT_EQ(sized(48, 25, 1600), 1557611200);
  const Graph mini =
      build_model({.name = "gpt2_mini"}, Value{DType::i32, {128}}, NetworkOutput{256, {128}}, 1);
  EXPECT_EQ(parameter_count(mini), 256 * 256 + 256 * 256 + 4 * (12 * 256 * 256 + 13 * 256) + 2 * 256);
  EXPECT_EQ(mini.shape(mini.output()), (Shape{128, 256}));
}

TEST(Sequences, Gpt2CanPadItsVocabulary) {
  const Graph graph = gpt2({{"pad_vocabulary", int64_t{128}}});
  EXPECT_EQ(parameter_count(graph), 124439808 + 47 * 768) << "50304 rows instead of 50257";
  EXPECT_EQ(graph.shape(graph.output()), (Shape{1024, 50257}));
}

TEST(Sequences, Gpt2HasTheNamesOfHuggingFace) {
  const Keys keys = {{"layers", int64_t{1}}, {"heads", int64_t{2}}, {"width", int64_t{6}}};
  EXPECT_THAT(
      parameters_of(gpt2(keys, 5, 11)),
      testing::ElementsAre("wte.weight (11, 6)", "wpe.weight (1024, 6)", "h.0.ln_1.weight (6)",
                           "h.0.ln_1.bias (6)", "h.0.attn.c_attn.weight (18, 6)", "h.0.attn.c_attn.bias (18)",
                           "h.0.attn.c_proj.weight (6, 6)", "h.0.attn.c_proj.bias (6)", "h.0.ln_2.weight (6)",
                           "h.0.ln_2.bias (6)", "h.0.mlp.c_fc.weight (24, 6)", "h.0.mlp.c_fc.bias (24)",
                           "h.0.mlp.c_proj.weight (6, 24)", "h.0.mlp.c_proj.bias (6)", "ln_f.weight (6)",
                           "ln_f.bias (6)"));
}

TEST(Sequences, Gpt2StartsWithSmallWeights) {
  const Keys keys = {{"layers", int64_t{8}}, {"heads", int64_t{2}}, {"width", int64_t{64}}};
  const Graph graph = gpt2(keys, 16, 300);
  const ParameterLayout layout(graph);
  std::map<std::string, double> deviations;
  for (size_t p = 0; p < layout.parameters.size(); ++p) {
    std::vector<float> values(static_cast<size_t>(layout.parameters[p].elements));
    initialize_parameter(layout.specs[p], layout.parameters[p].key, 1, values.data());
    double squares = 0;
    for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
    deviations[layout.parameters[p].name] = std::sqrt(squares / static_cast<double>(values.size()));
  }
  EXPECT_NEAR(deviations.at("wte.weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviations.at("wpe.weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviations.at("h.7.attn.c_attn.weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviations.at("h.7.mlp.c_fc.weight"), 0.02, 1e-3);
  EXPECT_NEAR(deviations.at("h.7.attn.c_proj.weight"), 0.005, 3e-4) << "0.02 / sqrt(2 * 8)";
  EXPECT_NEAR(deviations.at("h.7.mlp.c_proj.weight"), 0.005, 3e-4);
  EXPECT_EQ(deviations.at("h.7.mlp.c_proj.bias"), 0);
}

TEST(Sequences, VisionTransformersHaveThePublishedNumbersOfParameters) {
  const auto count = [](const char* name) {
    return parameter_count(build_model({.name = name}, {224, 224, 3}, {1000}, 1));
  };
  EXPECT_EQ(count("vit_base"), 86567656);
  EXPECT_EQ(count("vit_small"), 22050664);
  EXPECT_EQ(count("vit_tiny"), 5717416);
}

TEST(Sequences, VisionTransformersHaveTheNamesOfTorchvision) {
  const Keys keys = {{"layers", int64_t{1}},
                     {"heads", int64_t{2}},
                     {"width", int64_t{6}},
                     {"mlp", int64_t{8}},
                     {"patch", int64_t{4}}};
  const std::string block = "encoder.layers.encoder_layer_0.";
  EXPECT_THAT(
      parameters_of(build_model({.name = "vit_tiny", .keys = keys}, {8, 12, 3}, {5}, 1)),
      testing::ElementsAre(
          "conv_proj.weight (6, 3, 4, 4)", "conv_proj.bias (6)", "class_token.weight (6)",
          "encoder.pos_embedding.weight (7, 6)", block + "ln_1.weight (6)", block + "ln_1.bias (6)",
          block + "self_attention.in_proj_weight (18, 6)", block + "self_attention.in_proj_bias (18)",
          block + "self_attention.out_proj.weight (6, 6)", block + "self_attention.out_proj.bias (6)",
          block + "ln_2.weight (6)", block + "ln_2.bias (6)", block + "mlp.0.weight (8, 6)",
          block + "mlp.0.bias (8)", block + "mlp.3.weight (6, 8)", block + "mlp.3.bias (6)",
          "encoder.ln.weight (6)", "encoder.ln.bias (6)", "heads.head.weight (5, 6)", "heads.head.bias (5)"));
}

TEST(Sequences, ATransformerReadsTokensOrVectors) {
  const Keys keys = {{"layers", int64_t{6}}, {"vocabulary", int64_t{100}}};
  const ModelSpec spec{.name = "transformer", .keys = keys};
  // A layer of PyTorch's TransformerEncoderLayer(512, 8, 2048) has 3152384 parameters.
  const int64_t blocks = 6 * 3152384, positions = 9 * 512, head = 512 * 4 + 4;
  const Graph of_tokens = build_model(spec, Value{DType::i32, {9}}, {4}, 1);
  EXPECT_EQ(parameter_count(of_tokens), blocks + positions + head + 100 * 512);
  const Graph of_vectors = build_model(spec, {9, 30}, {4}, 1);
  EXPECT_EQ(parameter_count(of_vectors), blocks + positions + head + 30 * 512 + 512);
  const Graph per_position = build_model(spec, Value{DType::i32, {9}}, {4, {9}}, 1);
  EXPECT_EQ(per_position.shape(per_position.output()), (Shape{9, 4}));
}

std::string error_of(const ModelSpec& spec, const Value& input, const NetworkOutput& output) {
  try {
    build_model(spec, input, output, 1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Sequences, SayWhatDoesNotFit) {
  const Value ids{DType::i32, {8}}, image{DType::f32, {28, 28, 1}};
  EXPECT_THAT(error_of({.name = "gpt2"}, image, {10}), HasSubstr("data.task = \"tokens\""));
  EXPECT_THAT(error_of({.name = "gpt2", .keys = {{"context", int64_t{7}}}}, ids, {11, {8}}),
              HasSubstr("model.context = 7 is shorter than the sequences, which have 8 tokens."));
  EXPECT_THAT(error_of({.name = "gpt2", .keys = {{"layers", int64_t{0}}}}, ids, {11, {8}}),
              HasSubstr("model.layers = 0 must be a number from 1."));
  EXPECT_THAT(
      error_of({.name = "gpt2", .keys = {{"heads", int64_t{7}}}}, ids, {11, {8}}),
      HasSubstr("layer 'h.0.attn' (attention): 2304 channels cannot be divided into queries, keys and "
                "values of 7 heads."));
  EXPECT_THAT(error_of({.name = "vit_tiny"}, image, {10}),
              HasSubstr("images of 28x28 cannot be divided into patches of 16x16: set model.patch."));
  EXPECT_THAT(error_of({.name = "vit_tiny"}, ids, {10}), HasSubstr("it works on images"));
  EXPECT_THAT(error_of({.name = "transformer"}, ids, {10}), HasSubstr("model.vocabulary must be the number"));
}

/// A small GPT-2 learns one sequence by heart.
TEST(Sequences, AGptLearnsASequence) {
  constexpr int64_t kTokens = 12, kIds = 7;
  const std::vector<int32_t> sequence = {0, 3, 3, 1, 6, 2, 0, 3, 5, 1, 4, 4, 2};
  const Keys keys = {{"layers", int64_t{2}},
                     {"heads", int64_t{2}},
                     {"width", int64_t{16}},
                     {"context", kTokens},
                     {"dropout", 0.0}};
  const Graph graph = gpt2(keys, kTokens, kIds);
  Parameters parameters({}, graph);
  parameters.initialize(1);
  const ParameterLayout& layout = parameters.layout();
  Network network({}, graph, parameters, 1, /*training=*/true);
  Optimizer optimizer({}, {.name = "adam"}, layout.blocks);
  std::vector<float> reduced(static_cast<size_t>(layout.reduced_size()));
  const MicroBatchInfo info{.step = 0, .valid = 1, .weight = 1};
  const int64_t sample = 0;
  const auto train = [&](int64_t step) {
    std::copy_n(sequence.begin(), kTokens, network.input().data<int32_t>());
    const Network::MicroBatch batch{&info, ConstTensor(&sample, DType::i64, {1}), reduced};
    network.forward(batch);
    const Shape rows{kTokens, kIds};
    const Tensor metrics(reduced.data(), DType::f32, {kLossMetrics});
    softmax_cross_entropy({}, &info, {.positions = kTokens}, network.output().reshaped(rows),
                          ConstTensor(sequence.data() + 1, DType::i32, {kTokens}),
                          network.output_gradient().reshaped(rows), metrics);
    const float loss = reduced[0];
    network.backward(batch, [](int) {});
    const OptimizerScalars scalars = optimizer.scalars(1e-2, step);
    optimizer.update(&scalars, parameters.trained_weights(),
                     std::span(reduced).subspan(static_cast<size_t>(layout.gradients_offset()),
                                                static_cast<size_t>(layout.trained_size)));
    return loss;
  };
  EXPECT_NEAR(train(1), std::log(7.0), 0.1) << "nothing is known at first";
  float loss = 0;
  for (int64_t step = 2; step <= 200; ++step) loss = train(step);
  EXPECT_LT(loss, 0.1);
}

}  // namespace
}  // namespace lockstep
