#include "src/train/checkpoint/initial_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"
#include "src/graph/tuning.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/run/tuning_line.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

Graph net(int64_t outputs, const std::string& first = "conv", int64_t filters = 3) {
  Graph graph({6, 6, 2});
  graph.add(first, layers::conv2d({.filters = filters}));
  graph.add("norm", layers::batch_norm());
  graph.add("flatten", layers::flatten());
  graph.add("head", layers::linear({.outputs = outputs}));
  return graph;
}

/// A checkpoint of a model whose values all differ.
struct Saved {
  explicit Saved(const Graph& graph) : parameters({}, graph), snapshot({}, parameters, "", nullptr, false) {
    float next = 1;
    for (const std::span<float> values : {parameters.weights(), parameters.states()})
      for (float& value : values) value = next++;
    snapshot.take();
    snapshot.finish();
    loaded.path = "run/checkpoints/step-00000007.h5";
    snapshot.add_to(loaded.checkpoint);
  }
  Parameters parameters;
  Snapshot snapshot;
  LoadedCheckpoint loaded;
};

std::vector<float> values(const Parameters& parameters, size_t i) {
  const Tensor tensor = parameters.parameter(static_cast<int>(i));
  return {tensor.data<float>(), tensor.data<float>() + tensor.elements()};
}

std::vector<float> states(const Parameters& parameters) {
  const Tensor tensor = parameters.state(0);
  return {tensor.data<float>(), tensor.data<float>() + tensor.elements()};
}

TEST(InitialValues, ComeByNameAndAHeadOfAnotherWidthIsLeft) {
  const Saved saved(net(5));
  const Graph graph = tuned(net(4), {{"conv"}, {{"head", 10}}});
  Parameters parameters({}, graph), untouched({}, graph);
  parameters.initialize(3);
  untouched.initialize(3);
  const InitialValues initial = initialize_from(saved.loaded, {}, parameters);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(values(parameters, i), values(saved.parameters, i)) << parameters.layout().parameters[i].name;
  for (size_t i = 4; i < 6; ++i) EXPECT_EQ(values(parameters, i), values(untouched, i));
  EXPECT_EQ(states(parameters), states(saved.parameters));
  EXPECT_THAT(initial.reasons, ElementsAre("head.weight is (4, 48), in the checkpoint (5, 48)",
                                           "head.bias is (4), in the checkpoint (5)"));
  EXPECT_EQ(describe_tuning(initial, graph, parameters.layout()),
            "fine-tuning: loaded 4 tensors (63 parameters) and the running statistics of 1 layer from "
            "run/checkpoints/step-00000007.h5; left 2 tensors (196 parameters) at their initialization: "
            "head.weight is (4, 48), in the checkpoint (5, 48), head.bias is (4), in the checkpoint (5); "
            "frozen: 2 tensors (57 parameters); scaled learning rate: 2 tensors (196 parameters)");
}

TEST(InitialValues, OfAWholeModelAreAllOfIt) {
  const Saved saved(net(5));
  const Graph graph = net(5);
  Parameters parameters({}, graph);
  const InitialValues initial = initialize_from(saved.loaded, {}, parameters);
  EXPECT_EQ(parameters.weights_hash(), saved.parameters.weights_hash());
  EXPECT_EQ(describe_tuning(initial, graph, parameters.layout()),
            "fine-tuning: loaded 6 tensors (308 parameters) and the running statistics of 1 layer from "
            "run/checkpoints/step-00000007.h5");
  EXPECT_EQ(describe_tuning(std::nullopt, graph, parameters.layout()), "");
}

TEST(InitialValues, WhatTheCheckpointLacksIsLeft) {
  const Saved saved(net(5));
  Parameters parameters({}, net(5, "stem"));
  const InitialValues initial = initialize_from(saved.loaded, {}, parameters);
  EXPECT_EQ(initial.loaded.tensors, 4);
  EXPECT_THAT(initial.reasons,
              ElementsAre("stem.weight is not in the checkpoint", "stem.bias is not in the checkpoint"));
}

TEST(InitialValues, NothingInCommonIsAnErrorThatListsBoth) {
  const Saved saved(net(5));
  Graph other({6, 6, 2});
  other.add("flatten", layers::flatten());
  other.add("output", layers::linear({.outputs = 5}));
  const Parameters parameters({}, other);
  try {
    initialize_from(saved.loaded, {}, parameters);
    FAIL() << "nothing was loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    EXPECT_STREQ(error.what(),
                 "model.init_from: run/checkpoints/step-00000007.h5 has no parameter of this model with the "
                 "same name and shape. It has conv.bias, conv.weight, head.bias, head.weight, norm.bias, "
                 "norm.weight. The model has output.weight, output.bias.");
  }
}

}  // namespace
}  // namespace lockstep
