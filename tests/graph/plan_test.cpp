#include "src/graph/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/graph/layers/layers.h"
#include "src/graph/parameters.h"
#include "src/tensor/flat.h"

namespace lockstep {
namespace {

bool overlap(int64_t a, int64_t a_size, int64_t b, int64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

Graph small_cnn() {
  Graph graph({8, 8, 1});
  graph.add("conv", layers::conv2d({.filters = 4}));
  graph.add("pool", layers::max_pool2d({}));
  graph.add("relu", layers::relu());
  graph.add("flatten", layers::flatten());
  graph.add("dense", layers::linear({.outputs = 3}));
  return graph;
}

void prepare(Graph& graph, int64_t n) {
  const std::vector<bool> needs = values_with_gradient(graph);
  for (Graph::Node& node : graph.nodes())
    node.layer->prepare({{}, n, needs[static_cast<size_t>(node.inputs[0])], node.adds, node.activation});
}

/// What the plan has for one event of a layer; nullptr: nothing.
const Plan::Step* step_of(const Plan& plan, Event::Kind kind, int node) {
  for (const Plan::Step& step : plan.steps())
    if (step.event.kind == kind && step.event.node == node) return &step;
  return nullptr;
}

TEST(Plan, SharesMemoryWhereTheLayersAllowIt) {
  Graph graph = small_cnn();
  prepare(graph, 2);
  const Plan plan(graph, 2, /*training=*/true);
  EXPECT_EQ(plan.value(2).offset, plan.value(3).offset) << "ReLU writes over the pooled values";
  EXPECT_EQ(plan.value(3).offset, plan.value(4).offset) << "flatten moves nothing";
  EXPECT_FALSE(step_of(plan, Event::Kind::forward, 3)->runs);
  EXPECT_EQ(plan.gradient(0).offset, -1) << "nobody reads the gradient of the data";
  EXPECT_EQ(step_of(plan, Event::Kind::backward, 0)->input_gradients[0].offset, -1);
  EXPECT_LT(plan.arena_bytes(), plan.unshared_bytes());
}

TEST(Plan, InferenceNeedsLessThanTraining) {
  Graph graph = small_cnn();
  prepare(graph, 16);
  const Plan training(graph, 16, true), inference(graph, 16, false);
  EXPECT_LT(inference.unshared_bytes(), training.unshared_bytes());
  // Equal where a convolution's scratch memory is most of it, as with oneDNN 3.7.
  EXPECT_LE(inference.arena_bytes(), training.arena_bytes());
  EXPECT_EQ(inference.gradient(graph.output()).offset, -1);
}

TEST(Plan, AValueWithTwoReadersHasItsGradientsAdded) {
  Graph graph({6});
  const int a = graph.add("first", layers::linear({.outputs = 6}));
  graph.add("branch", layers::tanh());
  graph.add("sum", layers::add(), {a, graph.output()});
  prepare(graph, 4);
  const Plan plan(graph, 4, true);
  // Backward meets the sum first: it writes; the branch comes later and is added.
  EXPECT_EQ(step_of(plan, Event::Kind::add_gradient, 2), nullptr);
  const Plan::Step* const adds = step_of(plan, Event::Kind::add_gradient, 1);
  ASSERT_NE(adds, nullptr);
  EXPECT_EQ(adds->output_gradient.offset, plan.gradient(a).offset);
  EXPECT_EQ(adds->inputs[0].offset, step_of(plan, Event::Kind::backward, 1)->input_gradients[0].offset);
  EXPECT_FALSE(overlap(plan.gradient(a).offset, plan.gradient(a).bytes, adds->inputs[0].offset,
                       adds->inputs[0].bytes));
}

TEST(Plan, ALayerThatCanAddsToTheGradientItself) {
  Graph graph({6});
  const int a = graph.add("first", layers::linear({.outputs = 6}));
  graph.add("branch", layers::linear({.outputs = 6}));
  graph.add("sum", layers::add(), {a, graph.output()});
  EXPECT_EQ(layers_that_add_to_gradient(graph), (std::vector<bool>{false, true, false}));
  prepare(graph, 4);
  const Plan plan(graph, 4, true);
  EXPECT_EQ(step_of(plan, Event::Kind::add_gradient, 1), nullptr);
  EXPECT_EQ(step_of(plan, Event::Kind::backward, 1)->input_gradients[0].offset, plan.gradient(a).offset);
}

TEST(ParameterLayout, PutsTheLastLayerFirstAndPadsToBlocks) {
  const Graph graph = small_cnn();
  const ParameterLayout layout(graph);
  ASSERT_EQ(layout.parameters.size(), 4u);
  EXPECT_EQ(layout.parameters[0].name, "conv.weight");
  EXPECT_EQ(layout.parameters[3].name, "dense.bias");
  EXPECT_EQ(layout.parameter_count, 4 * 9 + 4 + 3 * 36 + 3);
  EXPECT_EQ(layout.parameters[3].offset, 0);
  EXPECT_GT(layout.parameters[0].offset, layout.parameters[2].offset);
  for (const ParameterLayout::Slot& slot : layout.parameters) EXPECT_EQ(slot.offset % kFlatBlock, 0);
  EXPECT_EQ(static_cast<int64_t>(layout.blocks.size()), layout.weights_size / kFlatBlock);
  EXPECT_EQ(layout.ready_ends.back(), layout.reduced_size());
  EXPECT_EQ(layout.node_of_ready_end, (std::vector<int>{4, 0}));
}

TEST(Parameters, LogicalOrderIsFiltersChannelsRowsColumnsAndBack) {
  Graph graph({5, 5, 2});
  graph.add("conv", layers::conv2d({.filters = 3}));
  Parameters parameters({}, graph);
  parameters.initialize(1);
  const auto& slots = parameters.layout().parameters;
  const std::vector<float> before(parameters.weights().begin(), parameters.weights().end());
  const std::vector<std::vector<float>> logical = to_logical({}, slots, parameters.weights());
  const float* stored = before.data() + slots[0].offset;
  for (int64_t k = 0; k < 3; ++k)
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t r = 0; r < 3; ++r)
        for (int64_t s = 0; s < 3; ++s)
          EXPECT_EQ(logical[0][static_cast<size_t>(((k * 2 + c) * 3 + r) * 3 + s)],
                    stored[((k * 3 + r) * 3 + s) * 2 + c]);
  std::fill(parameters.weights().begin(), parameters.weights().end(), 0.0f);
  from_logical({}, slots, logical, parameters.weights());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), parameters.weights().begin()));
}

}  // namespace
}  // namespace lockstep
