#include "src/graph/network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/core/hash.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

using test::expect_close, test::from_backend, test::to_backend, test::to_double;
using test::kExact, test::kSum, test::Tolerance;

/// A network with every kind of edge the planner knows: a residual connection, a value that is reshaped and
/// read twice, batch norm with running statistics, dropout, pooling of all kinds, in-place activations.
Graph tangled_network() {
  Graph graph({6, 6, 2});
  const int stem = graph.add("stem", layers::conv2d({.filters = 4, .padding = {1, 1}}));
  graph.add("norm", layers::batch_norm({}));
  graph.add("tanh", layers::tanh());
  graph.add("conv", layers::conv2d({.filters = 4, .padding = {1, 1}, .groups = 2, .bias = false}));
  graph.add("sum", layers::add(), {stem, graph.output()});
  graph.add("average", layers::average_pool2d({}));
  const int pooled = graph.add("gelu", layers::gelu());
  const int flat = graph.add("flatten", layers::flatten());
  graph.add("dropout", layers::dropout({.rate = 0.25}));
  const int left = graph.add("left", layers::linear({.outputs = 5}));
  graph.add("right", layers::linear({.outputs = 5}), {flat});
  const int both = graph.add("both", layers::add(), {left, graph.output()});
  graph.add("global", layers::global_average_pool(), {pooled});
  graph.add("widen", layers::linear({.outputs = 5}));
  graph.add("all", layers::add(), {both, graph.output()});
  graph.add("bias", layers::bias());
  graph.add("sigmoid", layers::sigmoid());
  return graph;
}

class NetworkTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(NetworkTest);

TEST_P(NetworkTest, EveryParameterAgreesWithFiniteDifferences) {
  NetworkRun run(exec(), tangled_network());
  run.forward();
  std::vector<int> order;
  run.backward([&](int node) { order.push_back(node); });
  EXPECT_EQ(order, run.layout().node_of_ready_end) << "buckets close in the order of the layout";

  for (size_t p = 0; p < run.layout().parameters.size(); ++p) {
    // A direction for the whole tensor checks all its elements at once, with far less rounding than one
    // element.
    const std::string& name = run.layout().parameters[p].name;
    const std::vector<float> before = from_backend(exec(), run.parameter(p));
    const std::vector<float> direction = random_values(static_cast<int64_t>(before.size()), hash_name(name));
    const double expected = dot(direction, run.gradient(p));
    constexpr float kStep = 2e-3f;
    const auto loss_at = [&](float distance) {
      std::vector<float> moved = before;
      for (size_t i = 0; i < moved.size(); ++i) moved[i] += distance * direction[i];
      to_backend(exec(), run.parameter(p), moved);
      return dot(run.output_gradient(), run.forward());
    };
    const double measured = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    to_backend(exec(), run.parameter(p), before);
    EXPECT_NEAR(measured, expected, 2e-3 + 5e-3 * std::abs(expected)) << name;
  }
}

TEST_P(NetworkTest, ComputesWhatTheCpuComputes) { expect_as_on_cpu(exec(), tangled_network()); }

TEST_P(NetworkTest, RunningTheSameTwiceGivesTheSameBits) {
  NetworkRun run(exec(), tangled_network());
  const auto all = [&] {
    std::vector<std::vector<float>> values = {run.forward()};
    run.backward();
    for (size_t p = 0; p < run.layout().parameters.size(); ++p) values.push_back(run.gradient(p));
    return values;
  };
  const std::vector<std::vector<float>> first = all();
  EXPECT_EQ(all(), first);
}

TEST_P(NetworkTest, FusionChangesNoGradient) {
  Graph graph({9, 9, 1});
  graph.add("conv1", layers::conv2d({.filters = 3}));
  graph.add("relu1", layers::relu());
  graph.add("pool1", layers::max_pool2d({}));
  graph.add("conv2", layers::conv2d({.filters = 4, .kernel = {2, 2}}));
  graph.add("relu2", layers::relu());
  graph.add("flatten", layers::flatten());
  graph.add("dense", layers::linear({.outputs = 4}));
  graph.add("relu3", layers::relu());
  const Graph fused = rewrite(graph.clone());
  EXPECT_LT(fused.nodes().size(), graph.nodes().size());

  NetworkRun plain(exec(), graph), with_fusion(exec(), fused);
  // A GPU's library may add in another order when it adds the bias and the ReLU as well.
  const Tolerance& tolerance = exec().on_cuda() ? kSum : kExact;
  expect_close(with_fusion.forward(), to_double(plain.forward()), tolerance, "output");
  plain.backward();
  with_fusion.backward();
  for (size_t p = 0; p < plain.layout().parameters.size(); ++p) {
    const std::string& name = plain.layout().parameters[p].name;
    // Of what the pooling has chosen, in another order.
    expect_close(with_fusion.gradient(p), to_double(plain.gradient(p)),
                 name == "conv1.bias" ? kSum : tolerance, name.c_str());
  }
}

TEST_P(NetworkTest, ASharedParameterHasTheSumOfTheGradientsOfItsReaders) {
  const auto make = [](bool shared) {
    Graph graph({6});
    for (const std::string name : {"a", "b", "c"}) {
      graph.add(name, layers::linear({.outputs = 6, .bias = name != "b"}));
      graph.add(name + "_tanh", layers::tanh());
    }
    if (shared) {
      graph.share_parameters("b", "a");
      graph.share_parameters("c", "b");  // which has a's
    }
    return graph;
  };
  NetworkRun tied(exec(), rewrite(make(true))), apart(exec(), rewrite(make(false)));
  ASSERT_EQ(tied.layout().parameters.size(), 2u) << "a's weight and bias";
  ASSERT_EQ(apart.layout().parameters.size(), 5u);
  const auto name_of = [&](size_t p) { return apart.layout().parameters[p].name; };
  for (size_t p = 0; p < 5; ++p)
    test::to_backend(exec(), apart.parameter(p),
                     test::from_backend(exec(), tied.parameter(name_of(p).ends_with("weight") ? 0 : 1)));
  EXPECT_EQ(tied.forward(), apart.forward());
  std::vector<int> done;
  tied.backward([&](int node) { done.push_back(node); });
  apart.backward();
  EXPECT_EQ(done.back(), 0) << "complete with the layer that holds it";
  std::vector<double> weight(36, 0.0), bias(6, 0.0);
  for (size_t p = 0; p < 5; ++p) {
    const std::vector<float> gradient = apart.gradient(p);
    std::vector<double>& sum = name_of(p).ends_with("weight") ? weight : bias;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += double{gradient[i]};
  }
  expect_close(tied.gradient(0), weight, kSum, "a.weight");
  expect_close(tied.gradient(1), bias, kSum, "a.bias");
}

}  // namespace
}  // namespace lockstep
