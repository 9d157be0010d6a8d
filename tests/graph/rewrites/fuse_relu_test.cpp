#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/graph_runner.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

NewLayer relu() { return layers::relu(); }

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> result;
  for (const Graph::Node& node : graph.nodes()) result.push_back(node.name);
  return result;
}

/// conv - relu - pool - conv - relu - flatten - linear - relu - linear
Graph convolutional(const PoolOptions& pool) {
  Graph graph({9, 8, 2});
  graph.add("conv1", layers::conv2d({.filters = 6, .padding = {1, 1}}));
  graph.add("relu1", relu());
  graph.add("pool1", layers::max_pool2d(pool));
  graph.add("conv2", layers::conv2d({.filters = 5}));
  graph.add("relu2", relu());
  graph.add("flatten", layers::flatten());
  graph.add("hidden", layers::linear({.outputs = 12}));
  graph.add("relu3", relu());
  graph.add("output", layers::linear({.outputs = 4}));
  return graph;
}

/// Forward, gradients of the input and of every parameter are the same numbers in the fused graph.
void expect_same(Graph plain, const std::function<void(GraphRunner&)>& set_parameters,
                 const std::vector<float>& x, int64_t n) {
  Graph fused = fuse_relus(plain.clone());
  ASSERT_LT(fused.output(), plain.output());
  GraphRunner a(plain, n), b(fused, n);
  set_parameters(a);
  set_parameters(b);
  ASSERT_EQ(a.parameters, b.parameters);
  EXPECT_EQ(a.forward(x), b.forward(x));
  const std::vector<float> dy = random_values(n * plain.shape(plain.output()).elements(), 2);
  EXPECT_EQ(a.backward(dy), b.backward(dy));
  EXPECT_EQ(a.gradients, b.gradients);
  EXPECT_EQ(a.forward(x, false), b.forward(x, false));
}

const PoolOptions kPools[] = {{}, {.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}};

TEST(Fuse, KeepsEveryNumberOfForwardAndBackward) {
  for (const PoolOptions& pool : kPools) {
    const auto parameters = [](GraphRunner& run) {
      for (auto& [name, values] : run.parameters)
        values = random_values(static_cast<int64_t>(values.size()), name.size());
    };
    expect_same(convolutional(pool), parameters, random_values(3 * 9 * 8 * 2, 1), 3);
  }
}

// Small integers make windows with equal maxima, with a maximum of exactly zero, and with negative values
// only.
TEST(Fuse, KeepsEveryNumberAtTiesZerosAndNegativeWindows) {
  for (const PoolOptions& pool : kPools) {
    const auto parameters = [](GraphRunner& run) {
      RandomStream random(4, 4);
      for (auto& [name, values] : run.parameters)
        for (float& v : values) v = static_cast<float>(random.next_below(3)) - 1.0f;
    };
    std::vector<float> x(5 * 9 * 8 * 2);
    RandomStream random(5, 5);
    for (float& v : x) v = static_cast<float>(random.next_below(2));
    expect_same(convolutional(pool), parameters, x, 5);
  }
}

// A training that diverged must show in the loss.
TEST(Fuse, KeepsNotANumberVisible) {
  Graph fused = fuse_relus(convolutional({}));
  for (const std::string name : {"conv1/weight", "conv2/weight", "hidden/weight"}) {
    GraphRunner run(fused, 2);
    std::vector<float>& weight = run.parameters[name];
    std::fill(weight.begin(), weight.end(), std::numeric_limits<float>::quiet_NaN());
    for (const float y : run.forward(random_values(2 * 9 * 8 * 2, 1))) EXPECT_TRUE(std::isnan(y)) << name;
  }
}

TEST(Fuse, FoldsReluAndMovesItBehindPooling) {
  const Graph fused = fuse_relus(convolutional({}));
  EXPECT_THAT(names(fused), ElementsAre("conv1", "pool1", "relu1", "conv2", "flatten", "hidden", "output"));
  EXPECT_FALSE(fused.nodes()[0].relu);
  EXPECT_TRUE(fused.nodes()[3].relu);
  EXPECT_TRUE(fused.nodes()[5].relu);
  EXPECT_EQ(fused.nodes()[0].output.shape, (Shape{9, 8, 6}));
  EXPECT_EQ(fused.nodes()[1].output.shape, (Shape{4, 4, 6}));
  EXPECT_EQ(fused.nodes()[2].output.shape, (Shape{4, 4, 6}));
  // Cloning, as each thread does, keeps what was folded.
  EXPECT_TRUE(fused.clone().nodes()[3].relu);
}

TEST(Fuse, MovesAReluBehindAChainOfPoolings) {
  Graph graph({16, 16, 1});
  graph.add("relu", relu());
  graph.add("pool1", layers::max_pool2d({}));
  graph.add("pool2", layers::max_pool2d({}));
  EXPECT_THAT(names(fuse_relus(std::move(graph))), ElementsAre("pool1", "pool2", "relu"));
}

TEST(Fuse, LeavesAValueAloneThatOthersReadToo) {
  Graph graph({8, 8, 3});
  const int conv = graph.add("conv", layers::conv2d({.filters = 3, .padding = {1, 1}}));
  const int activated = graph.add("relu", relu());
  graph.add("sum", layers::add(), {conv, activated});  // reads the convolution before its ReLU
  const int twice = graph.add("relu2", relu());        // behind an addition: nothing to fold into
  const int pooled = graph.add("pool", layers::max_pool2d({.window = {1, 1}}));  // not relu2's only reader
  graph.add("sum2", layers::add(), {twice, pooled});
  const std::vector<std::string> before = names(graph);
  EXPECT_EQ(names(fuse_relus(std::move(graph))), before);
}

TEST(Fuse, KeepsOtherActivationsAndAverages) {
  Graph graph({8, 8, 3});
  graph.add("conv", layers::conv2d({.filters = 3}));
  graph.add("tanh", layers::tanh());
  graph.add("relu", relu());
  graph.add("average", layers::average_pool2d({}));
  EXPECT_EQ(fuse_relus(std::move(graph)).output(), 4);
}

TEST(Fuse, RenumbersTheInputsOfBranches) {
  Graph graph({6});
  graph.add("a", layers::linear({.outputs = 6}));
  const int a = graph.add("relu_a", relu());
  graph.add("b", layers::linear({.outputs = 6}));
  const int b = graph.add("relu_b", relu());
  graph.add("sum", layers::add(), {a, b});
  graph.add("last", relu());
  const Graph fused = fuse_relus(graph.clone());
  EXPECT_THAT(names(fused), ElementsAre("a", "b", "sum", "last"));
  EXPECT_THAT(fused.nodes()[2].inputs, ElementsAre(1, 2));
  expect_same(
      graph.clone(), [](GraphRunner&) {}, random_values(2 * 6, 3), 2);
}

}  // namespace
}  // namespace lockstep
