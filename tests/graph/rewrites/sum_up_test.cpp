#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/graph/tuning.h"
#include "tests/graph/network_run.h"
#ifdef LOCKSTEP_EMULATED_CUDA
#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/libraries/engine_tuner.h"
#endif

namespace lockstep {
namespace {

/// Convolutions that a batch norm reads, and such that none can use.
Graph summable(bool recomputed = false) {
  Graph graph({6, 6, 4}, 3);
  const auto conv = [](bool bias) { return layers::conv2d({.filters = 8, .padding = {1, 1}, .bias = bias}); };
  graph.add("summed", conv(false));
  graph.add("norm", layers::batch_norm());
  graph.add("relu", layers::relu());
  graph.add("biased", conv(true));
  graph.add("norm of biased", layers::batch_norm());
  graph.add("activated", conv(false));
  graph.add("activation", layers::relu());
  const int block = graph.add("norm of activated", layers::batch_norm());
  graph.add("block.conv", conv(false));
  graph.add("block.norm", layers::batch_norm());
  graph.add("block.add", layers::add(), {block, graph.output()});
  graph.add("block.relu", layers::relu());
  graph.add("norm of no convolution", layers::batch_norm());
  graph.add("transposed", layers::conv_transpose2d({.filters = 4, .bias = false}));
  graph.add("norm of transposed", layers::batch_norm());
  graph.add("flatten", layers::flatten());
  graph.add("output", layers::linear({.outputs = 5}));
  return rewrite(std::move(graph), {recomputed ? "block" : "none"}, Precision::bf16, /*sums=*/true);
}

std::vector<std::string> sums_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Node& node : graph.nodes())
    if (node.sums) names.push_back(node.name);
  return names;
}

TEST(SumUp, FindsWhatABatchNormReads) {
  EXPECT_THAT(sums_of(summable()), testing::ElementsAre("summed", "block.conv"));
  EXPECT_THAT(sums_of(summable().clone()), testing::SizeIs(2));
}

TEST(SumUp, LeavesOutFrozenNorms) {
  Graph graph({6, 6, 3}, 3);
  graph.add("conv", layers::conv2d({.filters = 8, .bias = false}));
  graph.add("norm", layers::batch_norm());
  graph.add("output", layers::conv2d({.filters = 2}));
  EXPECT_THAT(sums_of(sum_up(graph.clone())), testing::ElementsAre("conv"));
  for (const char* const parameter : {"weight", "bias"}) graph.nodes()[1].tuning[parameter].frozen = true;
  EXPECT_THAT(sums_of(sum_up(std::move(graph))), testing::IsEmpty());
}

#ifdef LOCKSTEP_EMULATED_CUDA

TEST(SumUp, GivesTheSameWithinRounding) {
  if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
  CudaContext untuned(0), context(0);
  const EngineTuner tuner({&context}, "",
                          {.measures = true, .broadcast = [](const std::string& text) { return text; }});
  NetworkRun without({&untuned}, summable());
  const auto expected = results_of(without);
  std::map<std::string, test::Doubles> first;
  for (const bool recomputed : {false, true}) {
    // Plans hold the sums between the two layers, and until they are recomputed.
    const auto with_sums = [&](const Plan& plan) {
      return std::ranges::count_if(plan.steps(),
                                   [](const Plan::Step& step) { return step.input_sums.offset >= 0; });
    };
    EXPECT_EQ(with_sums(plan_network({&context}, summable(recomputed), 3, true)), recomputed ? 3 : 2);
    EXPECT_EQ(with_sums(plan_network({&context}, summable(recomputed), 3, false)), 0);
    EXPECT_EQ(with_sums(plan_network({&untuned}, summable(recomputed), 3, true)), 0);
    NetworkRun run({&context}, summable(recomputed));
    const auto results = results_of(run);
    for (const auto& [name, values] : expected)
      EXPECT_LE(test::distance(results.at(name), values), 1e-2 * test::norm(values)) << name;
    EXPECT_NE(results.at("sums of norm.running"), expected.at("sums of norm.running")) << "other sums";
    if (!recomputed) first = results;
    EXPECT_EQ(results, first) << "the same bits when a layer runs again";
  }
}

#endif

}  // namespace
}  // namespace lockstep
