#include "models/file/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ModelFile : public testing::Test {
 protected:
  ModelFile()
      : folder_(std::filesystem::temp_directory_path() / ("lockstep-model-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~ModelFile() override { std::filesystem::remove_all(folder_); }

  Graph build(const std::string& text, const Shape& input, int64_t outputs = 10) {
    return build(text, Value{DType::f32, input}, outputs);
  }
  Graph build(const std::string& text, const Value& input, int64_t outputs = 10) {
    std::ofstream(path()) << text;
    return build_model({.name = "", .file = path()}, input, {outputs}, 1);
  }

  std::string error_of(const std::string& text, const Shape& input = {8, 8, 3}) {
    try {
      build(text, input);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      const std::string what = error.what();
      return what.starts_with(path()) ? what.substr(path().size()) : what;
    }
    return "no error";
  }

  std::string path() const { return folder_ / "net.toml"; }
  std::filesystem::path folder_;
};

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

TEST_F(ModelFile, EveryKindReadsItsStandardValuesAndNamesItself) {
  for (const LayerKind& kind : layer_kinds()) {
    std::string text = fmt::format("[[layer]]\nkind = \"{}\"\n", kind.name);
    if (kind.name == "add") text += "inputs = [\"input\", \"input\"]\n";
    for (const LayerOption& option : kind.options) {
      if (option.standard) continue;
      text += option.name + (std::holds_alternative<double>(option.type) ? " = 0.5\n" : " = 2\n");
    }
    text += "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
    const Value input = kind.name == "embedding" ? Value{DType::i32, {12}}
                        : kind.name == "linear"  ? Value{DType::f32, {12}}
                                                 : Value{DType::f32, {6, 6, 2}};
    const Graph graph = build(text, input);
    EXPECT_EQ(graph.nodes()[0].layer->kind(), kind.name);
  }
}

TEST_F(ModelFile, InputIsTheNameOfTheData) {
  const Graph graph = build(
      "[[layer]]\nkind = \"linear\"\noutputs = 10\n"
      "[[layer]]\nkind = \"add\"\ninputs = [\"linear_1\", \"input\"]\n",
      {10});
  EXPECT_THAT(graph.nodes()[1].inputs, ElementsAre(1, 0));
}

TEST_F(ModelFile, SuggestsWhatOtherProgramsCallALayer) {
  const auto kind = [&](const std::string& name) { return error_of("[[layer]]\nkind = \"" + name + "\"\n"); };
  EXPECT_EQ(kind("dense"), ":2: unknown kind of layer 'dense'. Did you mean 'linear'?");
  EXPECT_EQ(kind("avg_pool2d"), ":2: unknown kind of layer 'avg_pool2d'. Did you mean 'average_pool2d'?");
  EXPECT_EQ(kind("MaxPooling2D"), ":2: unknown kind of layer 'MaxPooling2D'. Did you mean 'max_pool2d'?");
  EXPECT_EQ(kind("softmax"),
            ":2: unknown kind of layer 'softmax': the loss applies softmax itself: leave this layer out.");
  const auto option = [&](const std::string& layer, const std::string& text) {
    return error_of("[[layer]]\nkind = \"" + layer + "\"\nname = \"a\"\n" + text + "\n");
  };
  EXPECT_EQ(option("linear", "units = 3"),
            ":4: layer 'a': linear has no option 'units'. Did you mean 'outputs'?");
  EXPECT_EQ(option("conv2d", "kernel_size = 3"),
            ":4: layer 'a': conv2d has no option 'kernel_size'. Did you mean 'kernel'?");
  EXPECT_EQ(option("max_pool2d", "kernel_size = 3"),
            ":4: layer 'a': max_pool2d has no option 'kernel_size'. Did you mean 'window'?");
  EXPECT_EQ(
      option("conv2d", "in_channels = 3"),
      ":4: layer 'a': conv2d has no option 'in_channels': it follows from the layer before: leave it out.");
  EXPECT_EQ(option("linear", "outputs = 3\ninit = \"xavier_uniform\""),
            ":5: layer 'a': unknown initializer 'xavier_uniform'. Did you mean 'glorot_uniform'?");
  EXPECT_EQ(error_of("[[layer]]\ntype = \"linear\"\n"), ":2: a layer has no 'type'. Did you mean 'kind'?");
}

TEST_F(ModelFile, NamesFileLineAndRemedy) {
  const std::string linear = "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  const std::string flatten = "[[layer]]\nkind = \"flatten\"\n";
  EXPECT_EQ(
      error_of("[[layer]]\nkind = \"attention\"\n"),
      ":2: unknown kind of layer 'attention'. Known: linear, conv2d, max_pool2d, average_pool2d, "
      "global_average_pool, embedding, bias, relu, sigmoid, tanh, gelu, batch_norm, dropout, add, flatten.");
  EXPECT_EQ(error_of("[[layer]]\nkind = \"conv2\"\n"),
            ":2: unknown kind of layer 'conv2'. Did you mean 'conv2d'?");
  EXPECT_EQ(error_of(flatten + "[[layer]]\nkind = \"linear\"\nname = \"head\"\noutput = 10\n"),
            ":6: layer 'head': linear has no option 'output'. Did you mean 'outputs'?");
  EXPECT_EQ(error_of(flatten + "[[layer]]\nkind = \"linear\"\n"),
            ":3: layer 'linear_1': linear needs 'outputs' (number of outputs: an integer or \"classes\").");
  EXPECT_EQ(error_of(flatten + "[[layer]]\nkind = \"linear\"\noutputs = 1.5\n"),
            ":5: layer 'linear_1': 'outputs' must be an integer or \"classes\".");
  EXPECT_THAT(
      error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = [3, 3, 3]\n"),
      HasSubstr(":1: layer 'conv2d_1' (conv2d): kernel has 3 numbers, but the input has 2 spatial axes."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = [3, 3, 3, 3]\n"),
              HasSubstr(":4: layer 'conv2d_1': 'kernel' must be an integer or [height, width]."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"linear\"\noutputs = 0\n", {4}),
              HasSubstr(":1: layer 'linear_1' (linear): outputs is 0, but it must be from 1 to 1048576."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = 3\nbias = 1\n"),
              HasSubstr(":5: layer 'conv2d_1': 'bias' must be true or false."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"dropout\"\nrate = \"half\"\n"),
              HasSubstr("'rate' must be a number."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"linear\"\noutputs = 2\ninit = \"he_norma\"\n", {4}),
              HasSubstr(":4: layer 'linear_1': unknown initializer 'he_norma'. Did you mean 'he_normal'?"));
  EXPECT_THAT(error_of("[[layer]]\nname = \"a\"\n"), HasSubstr(":1: a layer needs a 'kind'"));
  EXPECT_THAT(error_of("[[layer]]\nkind = 3\n"), HasSubstr(":2: 'kind' must be a string."));
  EXPECT_THAT(error_of(flatten + "[[layer]]\nkind = \"relu\"\nname = \"flatten_1\"\n"),
              HasSubstr(":3: two layers are named 'flatten_1'"));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"relu\"\nname = \"input\"\n"),
              HasSubstr("the name 'input' is reserved for the data"));
  EXPECT_EQ(
      error_of(
          "[[layer]]\nkind = \"relu\"\nname = \"first\"\n[[layer]]\nkind = \"relu\"\ninput = \"fist\"\n"),
      ":6: layer 'relu_1': no layer before this one is named 'fist'. Did you mean 'first'?");
  EXPECT_THAT(error_of("[[layer]]\nkind = \"add\"\ninput = \"input\"\ninputs = [\"input\"]\n"),
              HasSubstr("has both 'input' and 'inputs'"));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"add\"\ninputs = \"input\"\n"),
              HasSubstr("'inputs' must be a list"));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"add\"\n"),
              HasSubstr(":1: layer 'add_1' (add): takes two inputs, not 1."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = 9\n"),
              HasSubstr(":1: layer 'conv2d_1' (conv2d): kernel 9x9 is larger than the 8x8 input."));
  EXPECT_THAT(error_of(flatten + "[[layer]]\nkind = \"relu\"\ninput = \"input\"\n"),
              HasSubstr(":1: layer 'flatten_1': nothing reads its output, and it is not the last layer."));
  EXPECT_EQ(error_of(flatten + "[[layer]]\nkind = \"linear\"\noutputs = 4\n"),
            ":3: layer 'linear_1': the last layer gives (4) for a sample, but the data needs (10): set its "
            "outputs = \"classes\".");
  EXPECT_THAT(error_of("[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n"),
              HasSubstr("put a flatten layer in front of it and set its outputs = \"classes\"."));
  EXPECT_THAT(error_of(flatten + "[[layer]]\nkind = \"relu\"\n"),
              HasSubstr("end with a linear layer with outputs = \"classes\"."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \"relu\"\n"),
              HasSubstr("end with a flatten layer and a linear layer with outputs = \"classes\"."));
  EXPECT_THAT(error_of("layers = 3\n"), HasSubstr(":1: unknown key 'layers'"));
  EXPECT_THAT(error_of(""), HasSubstr("a model file is a list of [[layer]] tables, and there is none."));
  EXPECT_THAT(error_of("layer = [1, 2]\n"), HasSubstr("and there is none."));
  EXPECT_THAT(error_of("[[layer]]\nkind = \n"), HasSubstr(":2: "));
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

TEST_F(ModelFile, ABlockStandsForItsLayers) {
  const Graph graph = build(R"(
[block.residual]
parameters = { width = 4, times = 2 }
layers = [
  { kind = "conv2d", name = "conv", filters = "times * width", kernel = 3, padding = 1 },
  { kind = "relu" },
  { kind = "conv2d", name = "project", input = "input", filters = "times*width", kernel = 1 },
  { kind = "add", name = "sum", inputs = ["relu_1", "project"] },
]

[[layer]]
block = "residual"
name = "stage"
repeat = 2
first = 1
width = 3

[[layer]]
kind = "add"
inputs = ["stage.1", "stage"]

[[layer]]
kind = "conv2d"
name = "same"
repeat = 2
filters = 6
kernel = 1

[[layer]]
kind = "flatten"
inputs = ["same"]

[[layer]]
kind = "linear"
outputs = "classes"
)",
                            {8, 8, 3});
  std::vector<std::string> names;
  for (const Graph::Node& node : graph.nodes()) names.push_back(node.name);
  EXPECT_THAT(names, ElementsAre("stage.1.conv", "stage.1.relu_1", "stage.1.project", "stage.1.sum",
                                 "stage.2.conv", "stage.2.relu_1", "stage.2.project", "stage.2.sum", "add_1",
                                 "same.0", "same.1", "flatten_1", "linear_1"));
  EXPECT_EQ(graph.shape(1), (Shape{8, 8, 6}));
  EXPECT_THAT(graph.nodes()[2].inputs, ElementsAre(0)) << "a block's \"input\" is what it reads";
  EXPECT_THAT(graph.nodes()[6].inputs, ElementsAre(4));
  EXPECT_THAT(graph.nodes()[8].inputs, ElementsAre(4, 8)) << "the name alone is the last of several";
  EXPECT_THAT(graph.nodes()[10].inputs, ElementsAre(10)) << "each reads the one before";
}

TEST_F(ModelFile, MistakesInBlocksAreNamedWithTheirLine) {
  const auto use = [&](const std::string& block, const std::string& text) {
    return error_of("[block.b]\n" + block + "\n[[layer]]\nblock = \"b\"\nname = \"u\"\n" + text + "\n");
  };
  const std::string layers = "layers = [{ kind = \"linear\", outputs = \"2 * n\" }]";
  EXPECT_EQ(use("parameters = { n = 2 }\n" + layers, "m = 3"),
            ":7: layer 'u': block 'b' has no parameter 'm'. Did you mean 'n'?");
  EXPECT_EQ(use(layers, ""), ":2: layer 'u.linear_1': 'n' is not a parameter of this block. Known: .");
  EXPECT_EQ(use("parameters = { n = 0.5 }\n" + layers, ""),
            ":3: layer 'u.linear_1': 'n' in \"2 * n\" is not an integer.");
  EXPECT_EQ(use("layers = 3", ""), ":1: layer 'u': block 'b' needs 'layers', a list of tables.");
  EXPECT_EQ(use("layer = []", ""), ":1: layer 'u': block 'b' needs 'layers', a list of tables.");
  EXPECT_EQ(use("layers = [{ block = \"b\" }]", ""), ":2: layer 'u.b_1': block 'b' is used inside itself.");
  EXPECT_EQ(use("layers = [{ kind = \"relu\" }]", "repeat = 0"),
            ":6: layer 'u': 'repeat' is 0, but it must be from 1 to 1000.");
  EXPECT_EQ(error_of("[block.a]\nlayers = [{ kind = \"relu\" }]\n[[layer]]\nblock = \"aa\"\n"),
            ":4: layer 'aa_1': this file has no [block.aa]. Did you mean 'a'?");
  EXPECT_EQ(error_of("[[layer]]\nkind = \"linear\"\noutputs = \"two\"\n", {4}),
            ":3: layer 'linear_1': 'outputs' must be an integer or \"classes\".");
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

TEST_F(ModelFile, SaysThatAFileCannotBeRead) {
  for (const std::string& wrong : {folder_.string(), (folder_ / "absent.toml").string()}) {
    try {
      build_model({.name = "", .file = wrong}, {4}, {2}, 1);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("model.file " + wrong + " cannot be read"));
    }
  }
}

TEST_F(ModelFile, RefusesKeysOfABuiltInModel) {
  std::ofstream(path()) << "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  try {
    build_model({.name = "", .file = path(), .keys = {{"hidden", int64_t{3}}}}, {4}, {2}, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.hidden does not apply: the model comes from " + path()));
  }
}

}  // namespace
}  // namespace lockstep
