// Networks with auxiliary outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

using testing::ElementsAre, testing::HasSubstr;

/// conv - relu - pool - conv - relu - flatten - linear, and from the pool an auxiliary head of batch norm,
/// flatten and linear, which lies between the two convolutions.
Graph with_head(bool has_head = true) {
  Graph graph({8, 8, 2}, 3);
  graph.add("conv1", layers::conv2d({.filters = 4, .padding = {1, 1}}));
  graph.add("relu1", layers::relu());
  const int pool = graph.add("pool1", layers::max_pool2d());
  if (has_head) {
    graph.add("aux.norm", layers::batch_norm());
    graph.add("aux.flatten", layers::flatten());
    graph.add("aux", layers::linear({.outputs = 5}));
    graph.set_loss_weight("aux", 0.3);
  }
  graph.add("conv2", layers::conv2d({.filters = 3}), {pool});
  graph.add("relu2", layers::relu());
  graph.add("flatten", layers::flatten());
  graph.add("output", layers::linear({.outputs = 5}));
  return graph;
}

std::vector<int> layers_of(const std::vector<Event>& events, Event::Kind kind) {
  std::vector<int> layers;
  for (const Event& event : events)
    if (event.kind == kind) layers.push_back(event.node);
  return layers;
}

TEST(GraphOutputs, TheLastLayerIsTheMainOneAndWeighsOne) {
  const Graph graph = with_head(), plain = with_head(false);
  const std::vector<Graph::Output> outputs = graph.outputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[0].name, "output");
  EXPECT_EQ(outputs[0].value, graph.output());
  EXPECT_EQ(outputs[0].weight, 1);
  EXPECT_EQ(outputs[1].name, "aux");
  EXPECT_EQ(outputs[1].value, 6);
  EXPECT_EQ(outputs[1].weight, 0.3);
  EXPECT_EQ(graph.readers(6), 1) << "the loss";
  EXPECT_TRUE(graph.clone().has_loss_weights());
  ASSERT_EQ(plain.outputs().size(), 1u);
  EXPECT_FALSE(plain.has_loss_weights());
}

TEST(GraphOutputs, AWeightIsAPositiveNumber) {
  for (const double weight : {0.0, -0.3, static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    Graph graph = with_head();
    try {
      graph.set_loss_weight("output", weight);
      FAIL() << weight;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_THAT(error.what(), HasSubstr("layer 'output': loss_weight = "));
    }
  }
}

TEST(GraphOutputs, EvaluationLeavesOutWhatOnlyAnAuxiliaryOutputNeeds) {
  const Graph graph = with_head();
  using enum Event::Kind;
  const std::vector<Event> training = schedule(graph, true), evaluation = schedule(graph, false);
  EXPECT_EQ(layers_of(training, forward).size(), graph.nodes().size());
  EXPECT_EQ(layers_of(training, loss).size(), 2u);
  EXPECT_EQ(layers_of(training, backward).size(), graph.nodes().size());
  EXPECT_THAT(layers_of(evaluation, forward), ElementsAre(0, 1, 2, 6, 7, 8, 9));
  EXPECT_EQ(evaluation.size(), 7u);
  const Plan plan = plan_network({}, graph, 16, false), plain = plan_network({}, with_head(false), 16, false);
  EXPECT_EQ(plan.arena_bytes(), plain.arena_bytes());
}

TEST(GraphOutputs, TheirMetricsLieBehindTheOthersAndAreSummed) {
  const ParameterLayout plain(with_head(false)), two(with_head());
  EXPECT_EQ(plain.state_sums_offset(), kFlatBlock);
  EXPECT_EQ(plain.verdict_offset(), plain.output_metrics_offset());
  EXPECT_EQ(two.verdict_offset() - two.output_metrics_offset(), 2 * kLossMetrics);
  Graph many({4});
  for (int i = 0; i < 30; ++i) {
    const std::string name = "head" + std::to_string(i);
    many.add(name, layers::linear({.outputs = 4}));
    many.set_loss_weight(name, 0.5);
  }
  const ParameterLayout layout(many);
  EXPECT_EQ(layout.state_sums_offset() % kFlatBlock, 0);
  EXPECT_GT(layout.state_sums_offset(), layout.verdict_offset()) << "more than a block";
}

/// Names of layers, with "+relu" where one was folded in.
std::vector<std::string> fused(Graph graph) {
  const Graph rewritten = fuse(std::move(graph));
  std::vector<std::string> names;
  for (const Graph::Node& node : rewritten.nodes())
    names.push_back(node.name + (node.activation ? "+relu" : ""));
  return names;
}

TEST(FusedOutputs, AReluThatIsAnOutputStaysInFrontOfThePool) {
  Graph graph({8, 8, 1});
  graph.add("conv", layers::conv2d({.filters = 2}));
  graph.add("relu", layers::relu());
  graph.set_loss_weight("relu", 0.5);
  graph.add("pool", layers::max_pool2d());
  EXPECT_THAT(fused(graph.clone()), ElementsAre("conv+relu", "pool"));
  const std::vector<Graph::Output> outputs = fuse(std::move(graph)).outputs();
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs[1].name, "relu") << "as the model calls it";
  EXPECT_EQ(outputs[1].value, 1);
}

TEST(FusedOutputs, WhatIsAnOutputBeforeItsReluKeepsItsValues) {
  Graph graph({8, 8, 1});
  graph.add("conv", layers::conv2d({.filters = 2}));
  graph.set_loss_weight("conv", 0.5);
  graph.add("relu", layers::relu());
  graph.add("last", layers::flatten());
  EXPECT_THAT(fused(std::move(graph)), ElementsAre("conv", "relu", "last"));
}

TEST(FusedOutputs, TheMainOutputStaysTheLastValue) {
  Graph graph({6});
  const int linear = graph.add("linear", layers::linear({.outputs = 4}));
  graph.add("aux", layers::linear({.outputs = 4}), {0});
  graph.set_loss_weight("aux", 0.5);
  graph.add("relu", layers::relu(), {linear});
  EXPECT_THAT(fused(graph.clone()), ElementsAre("linear", "aux", "relu"));
  EXPECT_EQ(fuse(std::move(graph)).outputs()[0].name, "relu");
}

class NetworkOutputs : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(NetworkOutputs);

TEST_P(NetworkOutputs, TheMainOutputOfEvaluationHasTheBitsOfANetworkWithoutTheOthers) {
  const auto evaluate = [&](const Graph& graph, std::vector<std::string>& seen) {
    Parameters parameters(exec(), graph);
    parameters.initialize(5);
    Network network(exec(), graph, parameters, 3, /*training=*/false);
    test::to_backend(exec(), network.input(), random_values(network.input().elements(), 1));
    const test::OnBackend<MicroBatchInfo> info(exec(), {0, 3, 1.0f / 3});
    const test::Guarded<int64_t> index(exec(), {3}, {0, 1, 2});
    const std::function<void(int, ConstTensor)> look = [&](int node, ConstTensor) {
      seen.push_back(graph.nodes()[static_cast<size_t>(node)].name);
    };
    network.forward({info.get(), index, {}, nullptr, &look});
    return test::from_backend(exec(), network.output());
  };
  for (const bool rewrites : {false, true}) {
    std::vector<std::string> seen, seen_plain;
    const Graph graph = rewrites ? rewrite(with_head()) : with_head(),
                plain = rewrites ? rewrite(with_head(false)) : with_head(false);
    EXPECT_EQ(evaluate(graph, seen), evaluate(plain, seen_plain));
    EXPECT_EQ(seen, seen_plain) << "the layers that ran";
  }
}

}  // namespace
}  // namespace lockstep
