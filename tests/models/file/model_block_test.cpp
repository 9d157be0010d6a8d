#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/models/file/model_file_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace lockstep
