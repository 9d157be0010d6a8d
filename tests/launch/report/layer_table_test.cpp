#include "launch/report/layer_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

std::vector<std::string> names(const std::vector<LayerRow>& rows) {
  std::vector<std::string> result;
  for (const LayerRow& row : rows) result.push_back(row.name);
  return result;
}

/// Three rows before and after two stages of two blocks of two layers.
std::vector<LayerRow> deep() {
  std::vector<LayerRow> rows;
  const auto add = [&](const std::string& name) {
    const auto number = static_cast<int64_t>(rows.size());
    rows.push_back({.name = name,
                    .output = {number},
                    .parameters = number,
                    .flops = 10 * number,
                    .activation_bytes = 100 * number});
  };
  add("stem");
  for (const char* stage : {"layer1", "layer2"})
    for (const char* block : {".0", ".1"})
      for (const char* layer : {".conv", ".norm.scale"}) add(std::string(stage) + block + layer);
  add("fc");
  return rows;
}

TEST(LayerTable, SumsUpTheSmallestBlocksThatFit) {
  EXPECT_EQ(names(grouped(deep(), 10)), names(deep()));
  EXPECT_THAT(names(grouped(deep(), 9)),
              ElementsAre("stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "fc"));
  EXPECT_THAT(names(grouped(deep(), 5)), ElementsAre("stem", "layer1", "layer2", "fc"));
  EXPECT_THAT(names(grouped(deep(), 1)), ElementsAre("stem", "layer1", "layer2", "fc")) << "no fewer";
  const LayerRow stage = grouped(deep(), 5)[2];
  EXPECT_EQ(stage.layers, 4);
  EXPECT_EQ(stage.output, Shape{8});
  EXPECT_EQ(stage.parameters, 5 + 6 + 7 + 8);
  EXPECT_EQ(stage.flops, 10 * stage.parameters);
  EXPECT_EQ(stage.activation_bytes, 100 * stage.parameters);
}

TEST(LayerTable, JoinsABlockWhoseLayersAreApart) {
  const std::vector<LayerRow> rows = {{.name = "a.x"},     {.name = "b"},   {.name = "a.y"},
                                      {.name = "c.alone"}, {.name = "d.1"}, {.name = "d.2"}};
  EXPECT_THAT(names(grouped(rows, 4)), ElementsAre("a", "b", "c.alone", "d"));
}

TEST(LayerTable, ShortensTheMiddleOfAName) {
  EXPECT_EQ(shortened("layer1.0.conv1", 14), "layer1.0.conv1");
  EXPECT_EQ(shortened("layer1.0.conv1", 13), "layer...conv1");
  EXPECT_EQ(shortened("layer1.0.conv1", 8), "la...nv1");
}

TEST(LayerTable, CountsWhatALayerHoldsAndGives) {
  Graph graph({6, 6, 2});
  graph.add("conv", layers::conv2d({.filters = 4, .kernel = {3, 3}}));
  graph.add("flatten", layers::flatten());
  graph.add("first", layers::linear({.outputs = 64}));
  graph.add("second", layers::linear({.outputs = 64}));
  graph.add("tied", layers::linear({.outputs = 64}));
  graph.share_parameters("tied", "second");
  const std::vector<LayerRow> rows = layer_rows(graph, 10);
  EXPECT_EQ(rows[0].parameters, 3 * 3 * 2 * 4 + 4);
  EXPECT_EQ(rows[0].flops, 2 * 16 * 4 * 9 * 2);
  EXPECT_EQ(rows[0].activation_bytes, 10 * 64 * 4);
  EXPECT_EQ(rows[1].activation_bytes, 0) << "in the memory of its input";
  EXPECT_EQ(rows[3].parameters, 64 * 64 + 64);
  EXPECT_EQ(rows[4].parameters, 0) << "those of the layer before";
  EXPECT_EQ(rows[4].flops, rows[3].flops);
}

}  // namespace
}  // namespace lockstep
