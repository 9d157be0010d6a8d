// Networks whose attention runs on engines of cuDNN that run.autotune has chosen: real ones where there is a
// GPU, or emulated ones.
#ifdef LOCKSTEP_HAVE_CUDA

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/libraries/engine_tuner.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

/// Two layers of attention with a head of 16, of the same shape.
Graph network_with_attention(double dropout) {
  Graph graph({7, 16});
  graph.add("first", layers::multihead_attention({.heads = 1, .dropout = dropout}));
  graph.add("qkv", layers::linear({.outputs = 48}));
  graph.add("second", layers::attention({.heads = 1, .dropout = dropout}));
  graph.add("out", layers::linear({.outputs = 3}));
  return in_precision(std::move(graph), Precision::bf16);
}

class AttentionNetwork : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "no GPU";
    context.emplace(0);
  }
  /// What a network computes if the last engines are chosen.
  std::map<std::string, test::Doubles> with_engines(const Graph& graph) {
    context->plans().choose_by([&](const EngineChoice& choice) {
      if (choice.engines > 1) ++choices;
      return choice.engines - 1;
    });
    NetworkRun run({&*context}, graph);
    context->plans().choose_by({});
    return results_of(run);
  }

  int choices = 0;
  std::optional<CudaContext> context;
};

TEST_F(AttentionNetwork, ComputesTheSameOnEnginesThatEqualLayersShare) {
  const Graph graph = network_with_attention(0);
  NetworkRun ours({&*context}, graph);
  const auto expected = results_of(ours), actual = with_engines(graph);
  EXPECT_GE(choices, 1) << "forward";
  EXPECT_LE(choices, 2) << "and on some GPUs backward";
  for (const auto& [name, values] : expected)
    EXPECT_LE(test::distance(actual.at(name), values), 0.02 * test::norm(values) + 1e-6) << name;
  EXPECT_NE(actual, expected) << "in its last bits";
}

TEST_F(AttentionNetwork, WithDropoutRunsOnOurKernels) {
  const Graph graph = network_with_attention(0.25);
  NetworkRun ours({&*context}, graph);
  EXPECT_EQ(with_engines(graph), results_of(ours));
  EXPECT_EQ(choices, 0);
}

TEST_F(AttentionNetwork, ARunThatResumesHasTheSameEnginesAndBits) {
  const Graph graph = network_with_attention(0);
  const EngineTuner::Ranks alone{.measures = true, .broadcast = [](const std::string& text) { return text; }};
  const auto results = [&](const std::string& known, std::string& text, std::string& description) {
    context.emplace(0);
    EngineTuner tuner({&*context}, known, alone);
    NetworkRun run({&*context}, graph);
    text = tuner.text();
    description = tuner.describe();
    return results_of(run);
  };
  std::string text, description, text_after;
  const auto before = results("", text, description);
  EXPECT_THAT(description, testing::StartsWith("timed "));
  EXPECT_EQ(results(text, text_after, description), before);
  EXPECT_THAT(description, testing::StartsWith("took the engines of "));
  EXPECT_THAT(description, testing::Not(testing::HasSubstr("timed")));
  EXPECT_EQ(text_after, text);
}

}  // namespace
}  // namespace lockstep

#endif
