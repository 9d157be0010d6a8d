#include "models/file/model_file.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "src/graph/layers/layers.h"
#include "tests/models/file/model_file_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ModelFile, ReadsAResidualNetwork) {
  const Graph graph = build(R"(
# A stem, one residual block and a head.
[[layer]]
kind = "conv2d"
name = "stem"
filters = 8
kernel = 3
padding = 1
bias = false
init = "he_normal"

[[layer]]
kind = "batch_norm"
momentum = 0.2

[[layer]]
kind = "relu"
name = "start"

[[layer]]
kind = "conv2d"
filters = 8
kernel = [3, 1]
padding = [1, 0]

[[layer]]
kind = "conv2d"
name = "shortcut"
input = "start"
filters = 8
kernel = 1

[[layer]]
kind = "add"
inputs = ["conv2d_1", "shortcut"]

[[layer]]
kind = "max_pool2d"
window = 3
stride = 2
padding = 1

[[layer]]
kind = "global_average_pool"

[[layer]]
kind = "dropout"
rate = 0.5

[[layer]]
kind = "linear"
outputs = "classes"
)",
                            {8, 8, 3}, 7);
  std::vector<std::string> names, descriptions;
  for (const Graph::Node& node : graph.nodes()) {
    names.push_back(node.name);
    descriptions.push_back(node.layer->describe());
  }
  EXPECT_THAT(names, ElementsAre("stem", "batch_norm_1", "start", "conv2d_1", "shortcut", "add_1",
                                 "max_pool2d_1", "global_average_pool_1", "dropout_1", "linear_1"));
  EXPECT_EQ(descriptions[0], "8 filters 3x3, stride 1, padding 1, no bias");
  EXPECT_EQ(descriptions[1], "momentum 0.2, epsilon 1e-05");
  EXPECT_EQ(descriptions[3], "8 filters 3x1, stride 1, padding 1x0");
  EXPECT_EQ(graph.nodes()[0].layer->parameters()[0].init, Init::he_normal);
  EXPECT_THAT(graph.nodes()[4].inputs, ElementsAre(3));
  EXPECT_THAT(graph.nodes()[5].inputs, ElementsAre(4, 5));
  EXPECT_EQ(graph.shape(7), (Shape{4, 4, 8}));
  EXPECT_EQ(graph.shape(graph.output()), Shape{7});
}

/// A sample that a kind of layer takes.
Value sample_for(const std::string& kind) {
  const std::set<std::string> of_tokens = {"embedding", "padding_mask"};
  const std::set<std::string> of_sequences = {"attention", "class_token", "mean_positions",
                                              "multihead_attention", "positional_embedding"};
  if (of_tokens.contains(kind)) return {DType::i32, {12}};
  if (of_sequences.contains(kind)) return {DType::f32, {4, 12}};
  if (kind == "linear") return {DType::f32, {12}};
  if (kind.ends_with("1d")) return {DType::f32, {6, 2}};
  if (kind.ends_with("3d")) return {DType::f32, {6, 6, 6, 2}};
  return {DType::f32, {6, 6, 2}};
}

TEST_F(ModelFile, EveryKindReadsItsStandardValuesAndNamesItself) {
  const std::set<std::string> of_two_inputs = {"add", "concat", "multiply"};
  for (const LayerKind& kind : layer_kinds()) {
    std::string text = fmt::format("[[layer]]\nkind = \"{}\"\n", kind.name);
    if (of_two_inputs.contains(kind.name)) text += "inputs = [\"input\", \"input\"]\n";
    for (const LayerOption& option : kind.options) {
      if (option.standard) continue;
      text += option.name + (std::holds_alternative<double>(option.type) ? " = 0.5\n" : " = 2\n");
    }
    text += "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
    const Graph graph = build(text, sample_for(kind.name));
    EXPECT_EQ(graph.nodes()[0].layer->kind(), kind.name);
  }
}

TEST_F(ModelFile, PaddingMayBeTheWordSame) {
  const Graph graph = build(R"(
[[layer]]
kind = "conv2d"
filters = 4
kernel = [5, 3]
stride = 2
padding = "same"
[[layer]]
kind = "conv_transpose2d"
filters = 4
kernel = 2
stride = 2
padding = [0]
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
outputs = "classes"
)",
                            {7, 8, 3});
  EXPECT_EQ(graph.shape(1), (Shape{4, 4, 4}));
  EXPECT_EQ(graph.shape(2), (Shape{8, 8, 4}));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = 3\npadding = \"valid\"\n"),
              HasSubstr(":5: layer 'conv2d_1': 'padding' must be an integer, a list of one for each axis, "
                        "or \"same\"."));
}

// Whether a sample of two axes is an image of one channel, or a signal of several, the model says.
TEST_F(ModelFile, TheFirstKindWithANumberOfAxesSaysWhichSamplesLackTheirChannels) {
  const std::string end =
      "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  const auto conv = [&](int axes) {
    return fmt::format("[[layer]]\nkind = \"conv{}d\"\nfilters = 3\nkernel = 2\n", axes) + end;
  };
  const auto input_of = [&](const std::string& text, const Shape& sample) {
    return build(text, sample).shape(0);
  };
  EXPECT_EQ(input_of(conv(1), {9}), (Shape{9, 1}));
  EXPECT_EQ(input_of(conv(1), {9, 4}), (Shape{9, 4}));
  EXPECT_EQ(input_of(conv(2), {9, 4}), (Shape{9, 4, 1}));
  EXPECT_EQ(input_of(conv(2), {9, 4, 2}), (Shape{9, 4, 2}));
  EXPECT_EQ(input_of(conv(3), {9, 4, 2}), (Shape{9, 4, 2, 1}));
  EXPECT_EQ(input_of(end, {9, 4}), (Shape{9, 4, 1}));
  const std::string attention = "[[layer]]\nkind = \"attention\"\nheads = 1\n";
  EXPECT_EQ(input_of(attention + end, {9, 3}), (Shape{9, 3}));
  const std::string norm = "[[layer]]\nkind = \"batch_norm\"\n";
  EXPECT_EQ(input_of(norm + conv(1), {9, 4}), (Shape{9, 4}));
  const std::string block =
      "[block.stem]\nlayers = [{ kind = \"relu\" }, { kind = \"conv1d\", filters = 2, kernel = 3 }]\n";
  EXPECT_EQ(input_of(block + "[[layer]]\nblock = \"stem\"\n" + end, {9, 4}), (Shape{9, 4}));
  const std::string circle = "[block.a]\nlayers = [{ block = \"a\" }]\n[[layer]]\nblock = \"a\"\n";
  EXPECT_THAT(error_of(circle + end, {9, 4}), HasSubstr("block 'a' is used inside itself."));
  const std::string tokens = "[[layer]]\nkind = \"embedding\"\nentries = 5\nwidth = 4\n" + conv(1);
  EXPECT_EQ(build(tokens, Value{DType::i32, {9}}).shape(0), Shape{9});
}

TEST_F(ModelFile, InputIsTheNameOfTheData) {
  const Graph graph = build(
      "[[layer]]\nkind = \"linear\"\noutputs = 10\n"
      "[[layer]]\nkind = \"add\"\ninputs = [\"linear_1\", \"input\"]\n",
      {10});
  EXPECT_THAT(graph.nodes()[1].inputs, ElementsAre(1, 0));
}

TEST_F(ModelFile, ALayerWithALossWeightIsAnAuxiliaryOutput) {
  const std::string head = R"(
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
name = "aux"
outputs = "classes"
)";
  const std::string main = R"(
[[layer]]
kind = "linear"
name = "scores"
input = "flatten_1"
outputs = "classes"
)";
  const Graph graph = build(head + "loss_weight = 0.3" + main, {8, 8, 3});
  const std::vector<Graph::Output> outputs = graph.outputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[0].name, "scores");
  EXPECT_EQ(outputs[0].weight, 1);
  EXPECT_EQ(outputs[1].name, "aux");
  EXPECT_EQ(outputs[1].weight, 0.3);
  EXPECT_EQ(build(head + "loss_weight = 1" + main + "loss_weight = 2", {8, 8, 3}).outputs()[0].weight, 2);

  EXPECT_THAT(error_of(head + main),
              HasSubstr(":4: layer 'aux': nothing reads its output, and it is not the last layer. An "
                        "auxiliary output has a loss_weight, as in loss_weight = 0.3."));
  EXPECT_EQ(error_of(head + "loss_weight = \"0.3\"" + main),
            ":8: layer 'aux': 'loss_weight' must be a number.");
  EXPECT_THAT(error_of(head + "loss_weight = 0" + main),
              HasSubstr(":4: layer 'aux': loss_weight = 0 must be a positive number."));
  EXPECT_THAT(error_of(head + "aux_weight = 0.3" + main), HasSubstr("Did you mean 'loss_weight'?"));
  const std::string wrong = "[[layer]]\nkind = \"flatten\"\nloss_weight = 0.3\n";
  EXPECT_THAT(error_of(wrong + main),
              HasSubstr(":1: layer 'flatten_1': this output gives (192) for a sample, "
                        "but the data needs (10): end with a linear layer"));
}

TEST_F(ModelFile, ALayerUsesTheParametersOfAnother) {
  const std::string first = "[[layer]]\nkind = \"linear\"\nname = \"a\"\noutputs = 4\n";
  const std::string second =
      "[[layer]]\nkind = \"linear\"\nname = \"b\"\noutputs = 4\nparameters_of = \"a\"\n";
  const std::string end = "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  EXPECT_EQ(build(first + second + end, {4}).nodes()[1].parameters_of, 0);
  EXPECT_EQ(error_of(first + second + end, {3}),
            ":5: layer 'b' uses a.weight (4, 3), but its own weight is (4, 4).");
  EXPECT_EQ(error_of(second + end, {4}),
            ":1: layer 'b' uses the parameters of 'a', which is not an earlier layer. Known: .");
}

}  // namespace
}  // namespace lockstep
