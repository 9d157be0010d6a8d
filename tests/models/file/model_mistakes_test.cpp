#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "models/registry.h"
#include "src/core/error.h"
#include "tests/models/file/model_file_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST_F(ModelFile, SuggestsWhatOtherProgramsCallALayer) {
  const auto kind = [&](const std::string& name) { return error_of("[[layer]]\nkind = \"" + name + "\"\n"); };
  EXPECT_EQ(kind("dense"), ":2: unknown kind of layer 'dense'. Did you mean 'linear'?");
  EXPECT_EQ(kind("avg_pool2d"), ":2: unknown kind of layer 'avg_pool2d'. Did you mean 'average_pool2d'?");
  EXPECT_EQ(kind("MaxPooling2D"), ":2: unknown kind of layer 'MaxPooling2D'. Did you mean 'max_pool2d'?");
  EXPECT_EQ(kind("AvgPool3d"), ":2: unknown kind of layer 'AvgPool3d'. Did you mean 'average_pool3d'?");
  EXPECT_EQ(kind("AdaptiveAvgPool2d"),
            ":2: unknown kind of layer 'AdaptiveAvgPool2d'. Did you mean 'adaptive_average_pool2d'?");
  EXPECT_EQ(kind("ZeroPadding2D"), ":2: unknown kind of layer 'ZeroPadding2D'. Did you mean 'pad'?");
  EXPECT_EQ(kind("LRN"), ":2: unknown kind of layer 'LRN'. Did you mean 'local_response_norm'?");
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
  EXPECT_EQ(option("max_pool2d", "ceil_mode = true"),
            ":4: layer 'a': max_pool2d has no option 'ceil_mode'. Did you mean 'ceil'?");
  EXPECT_EQ(option("average_pool1d", "count_include_pad = true"),
            ":4: layer 'a': average_pool1d has no option 'count_include_pad'. Did you mean 'count_padding'?");
  EXPECT_EQ(option("adaptive_average_pool2d", "output_size = 1"),
            ":4: layer 'a': adaptive_average_pool2d has no option 'output_size'. Did you mean 'output'?");
  EXPECT_EQ(option("pad", "padding = 1"),
            ":4: layer 'a': pad has no option 'padding'. Did you mean 'before'?");
  EXPECT_EQ(
      option("conv2d", "in_channels = 3"),
      ":4: layer 'a': conv2d has no option 'in_channels': it follows from the layer before: leave it out.");
  EXPECT_EQ(option("linear", "outputs = 3\ninit = \"xavier_uniform\""),
            ":5: layer 'a': unknown initializer 'xavier_uniform'. Did you mean 'glorot_uniform'?");
  EXPECT_EQ(error_of("[[layer]]\ntype = \"linear\"\n"), ":2: a layer has no 'type'. Did you mean 'kind'?");
}

TEST_F(ModelFile, SaysThatLayersFormACycle) {
  const auto layer = [](const std::string& name, const std::string& inputs) {
    return "[[layer]]\nkind = \"add\"\nname = \"" + name + "\"\ninputs = " + inputs + "\n";
  };
  EXPECT_EQ(error_of(layer("a", "[\"input\", \"a\"]")), ":4: layer 'a': a cycle: it reads its own output.");
  EXPECT_EQ(error_of(layer("a", "[\"input\", \"b\"]") + layer("b", "[\"a\", \"input\"]")),
            ":4: layer 'a': a cycle: 'a' reads 'b', which reads 'a'. A layer reads layers above it only.");
  EXPECT_EQ(error_of(layer("a", "[\"input\", \"c\"]") + layer("b", "[\"a\", \"a\"]") +
                     "[[layer]]\nkind = \"relu\"\n" + layer("c", "[\"relu_1\", \"input\"]")),
            ":4: layer 'a': a cycle: 'a' reads 'c', which reads 'relu_1', which reads 'b', which reads 'a'. "
            "A layer reads layers above it only.");
  // In a block, which has names of its own.
  EXPECT_EQ(error_of("[block.b]\nlayers = [{ kind = \"add\", name = \"x\", inputs = [\"input\", \"y\"] }, "
                     "{ kind = \"relu\", name = \"y\" }]\n[[layer]]\nblock = \"b\"\nname = \"u\"\n"),
            ":2: layer 'u.x': a cycle: 'x' reads 'y', which reads 'x'. A layer reads layers above it only.");
  EXPECT_EQ(error_of(layer("a", "[\"input\", \"b\"]") + layer("b", "[\"input\", \"input\"]")),
            ":4: layer 'a': 'b' comes later, in line 5. A layer reads layers above it: move one of the two.");
  EXPECT_EQ(error_of(layer("a", "[\"input\", \"c\"]") + layer("b", "[\"a\", \"input\"]")),
            ":4: layer 'a': no layer before this one is named 'c'. Known: input.");
}

TEST_F(ModelFile, RefusesANameThatIsTaken) {
  const std::string block = "[block.b]\nlayers = [{ kind = \"relu\" }]\n";
  const std::string layer = "[[layer]]\nkind = \"relu\"\nname = \"a\"\n";
  const std::string use = "[[layer]]\nblock = \"b\"\nname = \"a\"\n";
  EXPECT_EQ(error_of(layer + layer), ":4: two layers are named 'a': give one of them another name.");
  EXPECT_EQ(error_of(block + layer + use), ":6: two layers are named 'a': give one of them another name.");
  EXPECT_EQ(error_of(block + use + use), ":6: two layers are named 'a': give one of them another name.");
  EXPECT_EQ(error_of(block + use + "first = 3\nrepeat = 2\n" + use + "first = 4\n"),
            ":8: two layers are named 'a.4': give one of them another name.");
}

TEST_F(ModelFile, SaysWhichShapesDoNotFit) {
  const auto joined = [&](const std::string& kind, const std::string& inputs,
                          const Shape& input = {8, 8, 3}) {
    return error_of(
        "[[layer]]\nkind = \"max_pool2d\"\nname = \"half\"\nwindow = 2\n"
        "[[layer]]\nkind = \"conv2d\"\nname = \"wide\"\ninput = \"input\"\nfilters = 5\nkernel = 1\n"
        "[[layer]]\nkind = \"" +
            kind + "\"\ninputs = " + inputs + "\n",
        input);
  };
  EXPECT_EQ(joined("add", "[\"half\", \"wide\"]"),
            ":11: layer 'add_1' (add): its inputs differ in shape: (4, 4, 3) and (8, 8, 5).");
  EXPECT_EQ(joined("concat", "[\"wide\", \"input\", \"half\"]"),
            ":11: layer 'concat_1' (concat): its inputs differ in more than their channels: (8, 8, 5) and "
            "(4, 4, 3).");
  EXPECT_EQ(joined("multiply", "[\"wide\", \"half\"]"),
            ":11: layer 'multiply_1' (multiply): its second input must have the shape of the first, or one "
            "number for each of its channels: (8, 8, 5) and (4, 4, 3).");
  EXPECT_THAT(joined("add", "[\"half\", \"wide\"]", {1, 1, 3}),
              HasSubstr(":1: layer 'half' (max_pool2d): window 2x2 is larger than the 1x1 input."));
}

TEST_F(ModelFile, NamesFileLineAndRemedy) {
  const std::string linear = "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  const std::string flatten = "[[layer]]\nkind = \"flatten\"\n";
  EXPECT_THAT(
      error_of("[[layer]]\nkind = \"quantum_foam\"\n"),
      testing::MatchesRegex(
          ":2: unknown kind of layer 'quantum_foam'. Known: linear, .*max_pool2d, .*flatten, .*gelu.*\\."));
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
  EXPECT_THAT(
      error_of("[[layer]]\nkind = \"conv2d\"\nfilters = 3\nkernel = [3, 3, 3, 3]\n"),
      HasSubstr(":4: layer 'conv2d_1': 'kernel' must be an integer, or a list of one for each axis."));
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
