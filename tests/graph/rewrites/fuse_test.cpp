#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/graph/layers/layers.h"
#include "src/graph/network.h"
#include "src/graph/parameters.h"
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

float norm(const std::vector<float>& values) { return static_cast<float>(std::sqrt(dot(values, values))); }

/// Forward, gradients of the input and of every parameter are the same numbers in the fused graph.
void expect_same(Graph plain, const std::function<void(GraphRunner&)>& set_parameters,
                 const std::vector<float>& x, int64_t n) {
  Graph fused = fuse(plain.clone());
  ASSERT_LT(fused.output(), plain.output());
  GraphRunner a(plain, n), b(fused, n);
  set_parameters(a);
  set_parameters(b);
  ASSERT_EQ(a.parameters, b.parameters);
  EXPECT_EQ(a.forward(x), b.forward(x));
  const std::vector<float> dy = random_values(n * plain.shape(plain.output()).elements(), 2);
  EXPECT_EQ(a.backward(dy), b.backward(dy));
  for (auto& [name, gradient] : a.gradients) {
    // The sum over what a maximum has chosen is taken in another order.
    const float allowed = name == "conv1/bias" ? 1e-5f * norm(gradient) : 0;
    for (size_t i = 0; i < gradient.size(); ++i)
      EXPECT_NEAR(gradient[i], b.gradients[name][i], allowed) << name;
  }
  EXPECT_EQ(a.forward(x, false), b.forward(x, false));
}

void expect_close(const std::vector<float>& fused, const std::vector<float>& plain, const std::string& what,
                  double tolerance = 1e-5) {
  ASSERT_EQ(fused.size(), plain.size()) << what;
  double largest = 0;
  for (const float value : plain) largest = std::max(largest, std::abs(double{value}));
  for (size_t i = 0; i < fused.size(); ++i) ASSERT_NEAR(fused[i], plain[i], tolerance * largest) << what;
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
  Graph fused = fuse(convolutional({}));
  for (const std::string name : {"conv1/weight", "conv2/weight", "hidden/weight"}) {
    GraphRunner run(fused, 2);
    std::vector<float>& weight = run.parameters[name];
    std::fill(weight.begin(), weight.end(), std::numeric_limits<float>::quiet_NaN());
    for (const float y : run.forward(random_values(2 * 9 * 8 * 2, 1))) EXPECT_TRUE(std::isnan(y)) << name;
  }
}

/// linear - GELU - linear, as in a block of a transformer
Graph feed_forward(bool approximate) {
  Graph graph({5, 16});
  graph.add("hidden", layers::linear({.outputs = 24}));
  graph.add("gelu", layers::gelu({.approximate = approximate}));
  graph.add("output", layers::linear({.outputs = 6}));
  return graph;
}

TEST(Fuse, FoldsAGeluIntoALinearLayer) {
  for (const bool approximate : {false, true}) {
    const Graph fused = fuse(feed_forward(approximate));
    EXPECT_THAT(names(fused), ElementsAre("hidden", "output"));
    EXPECT_EQ(fused.nodes()[0].activation, approximate ? Activation::gelu_tanh : Activation::gelu);
    EXPECT_FALSE(fused.nodes()[0].backward_reads_output());
    expect_same(
        feed_forward(approximate), [](GraphRunner&) {}, random_values(3 * 5 * 16, 1), 3);
  }
}

class FusedGelu : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(FusedGelu);

// On a GPU, cuBLASLt applies a GELU by tanh to sums that are not yet rounded.
TEST_P(FusedGelu, IsAsGoodInTwoBytes) {
  for (const bool approximate : {false, true}) {
    Graph plain = in_precision(feed_forward(approximate), Precision::bf16);
    Graph fused = in_precision(fuse(feed_forward(approximate)), Precision::bf16);
    GraphRunner a(fused, 3, exec()), b(plain, 3, exec());
    const std::vector<float> x = random_values(3 * 5 * 16, 1), dy = random_values(3 * 5 * 6, 2);
    expect_close(a.forward(x), b.forward(x), "output", 0x1p-7);
    expect_close(a.backward(dy), b.backward(dy), "the gradient of the input", 0x1p-7);
    for (const auto& [name, gradient] : b.gradients) expect_close(a.gradients[name], gradient, name, 0x1p-7);
  }
}

TEST_P(FusedGelu, KeepsNotANumberVisible) {
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const bool approximate : {false, true}) {
      Graph fused = in_precision(fuse(feed_forward(approximate)), precision);
      GraphRunner run(fused, 1, exec());
      std::vector<float>& bias = run.parameters["hidden/bias"];
      std::fill(bias.begin(), bias.end(), std::numeric_limits<float>::quiet_NaN());
      for (const float y : run.forward(random_values(5 * 16, 1))) EXPECT_TRUE(std::isnan(y));
    }
}

TEST(Fuse, FoldsReluAndMovesItBehindPooling) {
  const Graph fused = fuse(convolutional({}));
  EXPECT_THAT(names(fused),
              ElementsAre("conv1", "pool1", "conv1, bias", "conv2", "flatten", "hidden", "output"));
  EXPECT_FALSE(fused.nodes()[0].activation);
  EXPECT_FALSE(fused.nodes()[1].activation);
  EXPECT_TRUE(fused.nodes()[2].activation);
  EXPECT_TRUE(fused.nodes()[3].activation);
  EXPECT_TRUE(fused.nodes()[5].activation);
  EXPECT_EQ(fused.nodes()[0].output.shape, (Shape{9, 8, 6}));
  EXPECT_EQ(fused.nodes()[1].output.shape, (Shape{4, 4, 6}));
  // Parameters keep their names.
  EXPECT_EQ(ParameterLayout(fused).parameters[1].name, "conv1.bias");
  EXPECT_EQ(ParameterLayout(fused.clone()).parameters[1].key, "conv1/bias");
  // Cloning, as each thread does, keeps what was folded.
  EXPECT_TRUE(fused.clone().nodes()[3].activation);
}

// Windows of 256 elements have no position to spare for what the ReLU cuts off.
TEST(Fuse, MovesAReluBehindAChainOfPoolings) {
  Graph graph({64, 64, 1});
  graph.add("relu", relu());
  graph.add("pool1", layers::max_pool2d({.window = {16, 16}, .stride = {1, 1}}));
  graph.add("pool2", layers::max_pool2d({.window = {16, 16}, .stride = {1, 1}}));
  graph.add("pool3", layers::max_pool2d({}));
  graph.add("pool4", layers::max_pool2d({}));
  const Graph fused = fuse(std::move(graph));
  EXPECT_THAT(names(fused), ElementsAre("pool1", "pool2", "pool3", "pool4"));
  EXPECT_TRUE(fused.nodes()[2].activation);
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
  EXPECT_EQ(names(fuse(std::move(graph))), before);
}

TEST(Fuse, LeavesABiasWhereItsConvolutionIsUsedTwice) {
  Graph graph({8, 8, 3});
  graph.add("conv", layers::conv2d({.filters = 3, .padding = {1, 1}}));
  graph.add("pool", layers::max_pool2d({.window = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}));
  graph.add("again", layers::conv2d({.filters = 3, .padding = {1, 1}}));
  graph.share_parameters("again", "conv");
  graph.add("pool2", layers::max_pool2d({}));
  EXPECT_THAT(names(fuse(std::move(graph))), ElementsAre("conv", "pool", "again", "pool2"));
}

TEST(Fuse, KeepsTheTuningOfABiasBehindAPooling) {
  Graph graph = convolutional({});
  graph.nodes()[0].tuning["bias"].frozen = true;
  const Graph fused = fuse(std::move(graph));
  EXPECT_FALSE(fused.tuning(0, "weight").frozen);
  EXPECT_TRUE(fused.tuning(2, "bias").frozen);
}

TEST(Fuse, KeepsOtherActivationsAndAverages) {
  Graph graph({8, 8, 3});
  graph.add("conv", layers::conv2d({.filters = 3}));
  graph.add("tanh", layers::tanh());
  graph.add("relu", relu());
  graph.add("average", layers::average_pool2d({}));
  EXPECT_EQ(fuse(std::move(graph)).output(), 4);
}

TEST(Fuse, RenumbersTheInputsOfBranches) {
  Graph graph({6});
  graph.add("a", layers::linear({.outputs = 6}));
  const int a = graph.add("relu_a", relu());
  graph.add("b", layers::linear({.outputs = 6}));
  const int b = graph.add("relu_b", relu());
  graph.add("sum", layers::add(), {a, b});
  graph.add("last", relu());
  const Graph fused = fuse(graph.clone());
  EXPECT_THAT(names(fused), ElementsAre("a", "b", "sum", "last"));
  EXPECT_THAT(fused.nodes()[2].inputs, ElementsAre(1, 2));
  expect_same(
      graph.clone(), [](GraphRunner&) {}, random_values(2 * 6, 3), 2);
}

/// A block of a residual network: conv - batch norm - ReLU - conv - batch norm, to which the input is added,
/// behind a convolution and a batch norm of its own if it is `projected`; then a ReLU.
Graph residual(bool projected) {
  Graph graph({6, 6, 4});
  const int input = graph.add("stem", layers::conv2d({.filters = 4, .padding = {1, 1}}));
  graph.add("conv1", layers::conv2d({.filters = 4, .padding = {1, 1}, .bias = false}));
  graph.add("bn1", layers::batch_norm({}));
  graph.add("relu1", relu());
  graph.add("conv2", layers::conv2d({.filters = 4, .padding = {1, 1}, .bias = false}));
  const int branch = graph.add("bn2", layers::batch_norm({}));
  int shortcut = input;
  if (projected) {
    graph.add("conv3", layers::conv2d({.filters = 4, .kernel = {1, 1}, .bias = false}), {input});
    shortcut = graph.add("bn3", layers::batch_norm({}));
  }
  graph.add("sum", layers::add(), {branch, shortcut});
  graph.add("relu2", relu());
  graph.add("flatten", layers::flatten());
  graph.add("output", layers::linear({.outputs = 3}));
  return graph;
}

void expect_close(Graph plain, bool training) {
  Graph fused = fuse(plain.clone());
  GraphRunner a(fused, 3), b(plain, 3);
  const std::vector<float> x = random_values(3 * plain.shape(0).elements(), 1);
  const std::vector<float> dy = random_values(3 * plain.shape(plain.output()).elements(), 2);
  expect_close(a.forward(x, training), b.forward(x, training), "output");
  if (!training) return;
  expect_close(a.backward(dy), b.backward(dy), "the gradient of the input");
  for (const auto& [name, gradient] : b.gradients) expect_close(a.gradients[name], gradient, name);
  for (const auto& [name, sums] : b.state_sums) expect_close(a.state_sums[name], sums, name);
}

// The batch norm that runs last adds the value that is already there.
TEST(Fuse, FoldsSumAndReluIntoBatchNorm) {
  const Graph plain = fuse(residual(false)), projected = fuse(residual(true));
  EXPECT_THAT(names(plain), ElementsAre("stem", "conv1", "bn1", "conv2", "bn2", "flatten", "output"));
  EXPECT_TRUE(plain.nodes()[2].activation && !plain.nodes()[2].adds);
  EXPECT_TRUE(plain.nodes()[4].activation && plain.nodes()[4].adds);
  EXPECT_THAT(plain.nodes()[4].inputs, ElementsAre(4, 1));
  EXPECT_THAT(names(projected),
              ElementsAre("stem", "conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "flatten", "output"));
  EXPECT_FALSE(projected.nodes()[4].activation || projected.nodes()[4].adds);
  EXPECT_TRUE(projected.nodes()[6].activation && projected.nodes()[6].adds);
  EXPECT_THAT(projected.nodes()[6].inputs, ElementsAre(6, 5));
  for (const bool training : {true, false})
    for (const bool with_projection : {true, false}) expect_close(residual(with_projection), training);
}

TEST(Fuse, AddsInALinearLayer) {
  Graph graph({4, 6});
  const int first = graph.add("first", layers::linear({.outputs = 6}));
  graph.add("hidden", layers::linear({.outputs = 9}));
  graph.add("gelu", layers::gelu());
  const int last = graph.add("last", layers::linear({.outputs = 6}));
  const int sum = graph.add("sum", layers::add(), {first, last});
  graph.add("norm", layers::layer_norm());
  const int again = graph.add("again", layers::linear({.outputs = 6, .bias = false}));
  graph.add("sum2", layers::add(), {again, sum});
  graph.add("relu", relu());
  EXPECT_THAT(names(fuse(graph.clone())), ElementsAre("first", "hidden", "last", "norm", "again"));
  expect_close(graph.clone(), true);
  expect_close(graph.clone(), false);
}

// As in GPT-2: dropout between the last layer of a branch and its shortcut.
Graph with_dropout() {
  Graph graph({4, 6});
  const int first = graph.add("first", layers::linear({.outputs = 6}));
  graph.add("norm", layers::layer_norm());
  graph.add("branch", layers::linear({.outputs = 6}));
  const int dropped = graph.add("dropout", layers::dropout({.rate = 0.25}));
  graph.add("sum", layers::add(), {first, dropped});
  graph.add("norm2", layers::layer_norm());
  return graph;
}

TEST(Fuse, AddsInADropout) {
  const Graph fused = fuse(with_dropout());
  EXPECT_THAT(names(fused), ElementsAre("first", "norm", "branch", "dropout", "norm2"));
  EXPECT_TRUE(fused.nodes()[3].adds);
  EXPECT_THAT(fused.nodes()[3].inputs, ElementsAre(3, 1));
  expect_close(with_dropout(), true);
  expect_close(with_dropout(), false);
}

// The gradient of the shortcut is where that of the sum was: nothing is copied.
TEST(Fuse, SharesTheGradientOfAShortcutBehindADropout) {
  const Graph fused = fuse(with_dropout());
  const Plan plan = plan_network({}, fused, 3, /*training=*/true);
  const auto step = std::ranges::find_if(plan.steps(), [](const Plan::Step& s) {
    return s.event.kind == Event::Kind::backward && s.event.node == 3;
  });
  ASSERT_NE(step, plan.steps().end());
  EXPECT_EQ(step->input_gradients[1].offset, step->output_gradient.offset);
  EXPECT_NE(step->input_gradients[0].offset, step->output_gradient.offset);
}

// A batch norm does its ReLU on the way, so that moving that elsewhere would cost a pass.
TEST(Fuse, LeavesAReluWithItsBatchNormBeforeAPool) {
  Graph graph({8, 8, 3});
  graph.add("bn", layers::batch_norm({}));
  graph.add("relu", relu());
  graph.add("pool", layers::max_pool2d({}));
  EXPECT_THAT(names(fuse(graph.clone())), ElementsAre("bn", "pool"));
  expect_close(graph.clone(), true);
}

// Of a value and itself, and of values that others read too.
TEST(Fuse, LeavesSumsAloneThatNoLayerCanDo) {
  Graph graph({6});
  const int a = graph.add("a", layers::linear({.outputs = 6}));
  const int twice = graph.add("twice", layers::add(), {a, a});
  const int b = graph.add("b", layers::linear({.outputs = 6}));
  graph.add("sum", layers::add(), {twice, b});
  graph.add("sum2", layers::add(), {graph.output(), b});
  EXPECT_THAT(names(fuse(graph.clone())), ElementsAre("a", "twice", "b", "sum", "sum2"));
}

// y = x + W x: both of the layer's gradients belong to one value.
TEST(Fuse, AddsTheInputOfTheLayerItself) {
  Graph graph({6});
  const int first = graph.add("first", layers::linear({.outputs = 6}));
  const int second = graph.add("second", layers::linear({.outputs = 6}));
  graph.add("sum", layers::add(), {first, second});
  const Graph fused = fuse(graph.clone());
  EXPECT_THAT(names(fused), ElementsAre("first", "second"));
  EXPECT_THAT(fused.nodes()[1].inputs, ElementsAre(1, 1));
  expect_close(graph.clone(), true);
}

}  // namespace
}  // namespace lockstep
