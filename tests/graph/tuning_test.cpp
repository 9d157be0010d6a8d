#include "src/graph/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "tests/graph/network_run.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Two blocks and a head.
Graph blocks(bool with_norm = false) {
  Graph graph({6, 6, 2}, 3);
  for (const std::string name : {"block.0.", "block.1."}) {
    graph.add(name + "conv", layers::conv2d({.filters = 4, .padding = {1, 1}}));
    if (with_norm) graph.add(name + "norm", layers::batch_norm());
    graph.add(name + "relu", layers::relu());
  }
  graph.add("flatten", layers::flatten());
  graph.add("hidden", layers::linear({.outputs = 6}));
  graph.add("tanh", layers::tanh());
  graph.add("shift", layers::bias());
  graph.add("head", layers::linear({.outputs = 3}));
  return graph;
}

std::vector<std::string> frozen_in(const Graph& graph) {
  std::vector<std::string> names;
  for (const ParameterLayout::Slot& slot : ParameterLayout(graph).parameters)
    if (slot.frozen) names.push_back(slot.name);
  return names;
}

std::string error_of(const TuningSpec& spec) {
  try {
    tuned(blocks(), spec);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Tuning, PatternsNameParametersLayersAndBlocks) {
  const auto frozen = [](const std::vector<std::string>& patterns) {
    return frozen_in(tuned(blocks(), {patterns, {}}));
  };
  EXPECT_THAT(frozen({"hidden.weight"}), ElementsAre("hidden.weight"));
  EXPECT_THAT(frozen({"hidden"}), ElementsAre("hidden.weight", "hidden.bias"));
  EXPECT_THAT(frozen({"block.1"}), ElementsAre("block.1.conv.weight", "block.1.conv.bias"));
  EXPECT_THAT(frozen({"*.0.conv.bias", "shift*"}), ElementsAre("block.0.conv.bias", "shift.bias"));
  EXPECT_THAT(frozen({}), ElementsAre());
}

TEST(Tuning, APatternThatMatchesNothingListsTheNames) {
  const std::string names =
      "matches no parameter, layer or block. The parameters are: block.0.conv.weight, block.0.conv.bias, "
      "block.1.conv.weight, block.1.conv.bias, hidden.weight, hidden.bias, shift.bias, head.weight, "
      "head.bias.";
  EXPECT_EQ(error_of({{"head", "convs*"}, {}}), "optimizer.freeze: 'convs*' " + names);
  EXPECT_EQ(error_of({{}, {{"tanh", 0.5}}}), "optimizer.lr_scale: 'tanh' " + names);
}

TEST(Tuning, NothingLeftToTrainIsAnError) {
  EXPECT_THAT(error_of({{"*"}, {}}), HasSubstr("optimizer.freeze leaves nothing to train"));
}

TEST(Tuning, TheMostSpecificPatternScalesTheLearningRate) {
  const Graph graph =
      tuned(blocks(), {{"shift"}, {{"*", 0.5}, {"block*", 0.25}, {"block.1.conv", 0.125}, {"*bias", 2}}});
  const auto scale = [&](const std::string& layer, const std::string& name) {
    return graph.tuning(graph.find(layer), name).lr_scale;
  };
  EXPECT_EQ(scale("block.0.conv", "weight"), 0.25);
  EXPECT_EQ(scale("block.0.conv", "bias"), 0.25) << "block* has more characters than *bias";
  EXPECT_EQ(scale("block.1.conv", "weight"), 0.125);
  EXPECT_EQ(scale("head", "weight"), 0.5);
  EXPECT_EQ(scale("head", "bias"), 2);
  EXPECT_TRUE(graph.tuning(graph.find("shift"), "bias").frozen);
  EXPECT_THAT(error_of({{}, {{"head*", 0.5}, {"*bias", 2}}}),
              AllOf(HasSubstr("'*bias' = 2 and 'head*' = 0.5"), HasSubstr("both match head.bias")));
  EXPECT_EQ(error_of({{}, {{"head*", 2}, {"*bias", 2}}}), "no error") << "they agree";
}

TEST(Tuning, WhatIsFrozenLiesBehindAllThatIsReducedAndUpdated) {
  const Graph plain = blocks(true), graph = tuned(blocks(true), {{"block.0", "head.bias"}, {{"head", 0.5}}});
  const ParameterLayout before(plain), layout(graph);
  int64_t trained = 0;
  for (const ParameterLayout::Slot& slot : layout.parameters) {
    const bool inside = slot.offset + slot.elements <= layout.trained_size;
    EXPECT_EQ(inside, !slot.frozen) << slot.name;
    if (!slot.frozen) ++trained;
  }
  EXPECT_EQ(layout.weights_size, before.weights_size);
  EXPECT_EQ(layout.states_size, before.states_size);
  EXPECT_EQ(static_cast<int64_t>(layout.trained.size()), trained);
  EXPECT_EQ(static_cast<int64_t>(layout.blocks.size()) * kFlatBlock, layout.trained_size);
  EXPECT_EQ(layout.ready_ends.back(), layout.reduced_size());
  EXPECT_EQ(layout.summed_states_size, layout.states_size / 2) << "of the one batch norm that is trained";
  EXPECT_EQ(layout.states[1].offset, 0);
  EXPECT_EQ(layout.states[0].offset, layout.summed_states_size);
  EXPECT_EQ(layout.blocks.front().lr_scale, 0.5f) << "of head.weight";
  EXPECT_EQ(layout.blocks.back().lr_scale, 1.0f);
}

TEST(Tuning, TheWeightsHashKeepsTheModelsOrder) {
  Parameters plain({}, blocks()), tuned_ones({}, tuned(blocks(), {{"hidden", "block.0.conv.bias"}, {}}));
  plain.initialize(7);
  tuned_ones.initialize(7);
  EXPECT_EQ(tuned_ones.weights_hash(), plain.weights_hash());
}

TEST(Tuning, BackwardEndsAtTheFirstLayerThatIsTrained) {
  const auto first_backward = [](const std::vector<std::string>& patterns) {
    const Graph graph = tuned(blocks(), {patterns, {}});
    return graph.nodes()[static_cast<size_t>(schedule(graph, /*training=*/true).back().node)].name;
  };
  EXPECT_EQ(first_backward({}), "block.0.conv");
  EXPECT_EQ(first_backward({"block"}), "hidden");
  EXPECT_EQ(first_backward({"block", "hidden.weight"}), "hidden");
  EXPECT_EQ(first_backward({"block.1", "hidden"}), "block.0.conv");
  EXPECT_EQ(first_backward({"block", "hidden", "shift"}), "head");
}

TEST(Tuning, AParameterThatIsSharedIsFrozenForAllItsReaders) {
  Graph graph({5});
  graph.add("first", layers::linear({.outputs = 5, .bias = false}));
  graph.add("tanh", layers::tanh());
  graph.add("second", layers::linear({.outputs = 5, .bias = false}));
  graph.share_parameters("second", "first");
  graph.add("head", layers::linear({.outputs = 2}));
  const Graph frozen = tuned(graph.clone(), {{"first"}, {}});
  EXPECT_TRUE(frozen.frozen(frozen.find("second")));
  EXPECT_EQ(ParameterLayout(frozen).trained.size(), 2u);
  const std::vector<Event> events = schedule(frozen, true);
  EXPECT_EQ(frozen.nodes()[static_cast<size_t>(events.back().node)].name, "head");
}

class TunedNetwork : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(TunedNetwork);

TEST_P(TunedNetwork, TheOtherGradientsKeepTheirBits) {
  // Whole layers and parts of them, below, between and above what is trained.
  const std::vector<std::vector<std::string>> all_patterns = {{"block"},
                                                              {"block.0", "hidden"},
                                                              {"block.1", "shift"},
                                                              {"head"},
                                                              {"*bias"},
                                                              {"block.1.conv.weight", "hidden.weight"}};
  for (Graph (*const variant)(Graph) : {+[](Graph graph) { return graph; }, &fuse}) {
    NetworkRun plain(exec(), variant(blocks()));
    const std::vector<float> output = plain.forward();
    plain.backward();
    for (const std::vector<std::string>& patterns : all_patterns) {
      NetworkRun run(exec(), variant(tuned(blocks(), {patterns, {}})));
      for (int round = 0; round < 2; ++round) {  // the second time over the remains of the first
        EXPECT_EQ(run.forward(), output);
        run.backward();
      }
      for (size_t p = 0; p < run.layout().parameters.size(); ++p) {
        const ParameterLayout::Slot& slot = run.layout().parameters[p];
        if (slot.frozen) continue;
        EXPECT_EQ(run.gradient(p), plain.gradient(p)) << slot.name << " with " << patterns[0];
      }
    }
  }
}

/// A shift, whose gradient is the sum over the rows of what batch norm gives it.
Graph normalized() {
  Graph graph({4});
  graph.add("shift", layers::bias());
  graph.add("norm", layers::batch_norm({.epsilon = 1e-3}));
  return graph;
}

TEST_P(TunedNetwork, FrozenBatchNormUsesItsRunningStatisticsAndKeepsThem) {
  NetworkRun run(exec(), tuned(normalized(), {{"norm"}, {}}));
  const std::vector<float> weight = {1.5f, -0.5f, 2, 1}, bias = {0.25f, 0, -1, 3};
  const std::vector<float> mean = {0.5f, -1, 0, 2}, variance = {4, 0.25f, 1, 0.01f};
  test::to_backend(exec(), run.parameter(1), weight);
  test::to_backend(exec(), run.parameter(2), bias);
  std::vector<float> running = mean;
  running.insert(running.end(), variance.begin(), variance.end());
  test::to_backend(exec(), run.state(0), running);

  const std::vector<float> shift = test::from_backend(exec(), run.parameter(0));
  const std::vector<float> output = run.forward();
  run.backward();
  std::vector<double> expected, gradient(4, 0);
  for (size_t i = 0; i < output.size(); ++i) {
    const size_t c = i % 4;
    const double factor = weight[c] / std::sqrt(double{variance[c]} + 1e-3);
    expected.push_back((double{run.input()[i]} + shift[c] - mean[c]) * factor + bias[c]);
    gradient[c] += run.output_gradient()[i] * factor;
  }
  test::expect_close(output, expected, test::kNormalized, "output");
  test::expect_close(run.gradient(0), gradient, test::kNormalized, "gradient of shift.bias");
  const std::vector<float> after = run.states_after_update();
  EXPECT_EQ(std::vector<float>(after.begin(), after.begin() + 8), running);
}

TEST_P(TunedNetwork, BatchNormThatIsFrozenInPartUsesTheBatch) {
  NetworkRun plain(exec(), normalized()), run(exec(), tuned(normalized(), {{"norm.weight"}, {}}));
  EXPECT_EQ(run.forward(), plain.forward());
  plain.backward();
  run.backward();
  EXPECT_EQ(run.gradient(0), plain.gradient(0));
  EXPECT_EQ(run.gradient(2), plain.gradient(2));
  EXPECT_EQ(run.states_after_update(), plain.states_after_update());
}

TEST_P(TunedNetwork, RecomputedActivationsGiveTheSameBits) {
  const TuningSpec spec{{"block.0", "block.1.norm", "hidden.weight"}, {}};
  const Graph graph = tuned(blocks(true), spec);
  NetworkRun kept(exec(), fuse(graph.clone())), again(exec(), rewrite(graph.clone(), {"block"}));
  EXPECT_EQ(again.forward(), kept.forward());
  kept.backward();
  again.backward();
  for (size_t p = 0; p < kept.layout().parameters.size(); ++p) {
    const ParameterLayout::Slot& slot = kept.layout().parameters[p];
    if (slot.frozen) continue;
    EXPECT_EQ(again.gradient(p), kept.gradient(p)) << slot.name;
  }
}

}  // namespace
}  // namespace lockstep
