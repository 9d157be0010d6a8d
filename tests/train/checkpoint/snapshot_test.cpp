#include "src/train/checkpoint/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

Graph small() {
  Graph graph({6, 6, 2});
  graph.add("conv1", layers::conv2d({.filters = 3, .bias = false}));
  graph.add("bn1", layers::batch_norm());
  graph.add("flatten", layers::flatten());
  graph.add("fc", layers::linear({.outputs = 2}));
  return graph;
}

/// Values that differ from one another, the running statistics too.
void fill(const Parameters& parameters) {
  float next = 1;
  for (const std::span<float> values : {parameters.weights(), parameters.states()})
    for (float& value : values) value = next++;
}

std::vector<float> values_of(const Parameters& parameters) {
  std::vector<float> all;
  for (const auto& slot : parameters.layout().parameters) {
    const float* first = parameters.weights().data() + slot.offset;
    all.insert(all.end(), first, first + slot.elements);
  }
  for (const auto& slot : parameters.layout().states) {
    const float* first = parameters.states().data() + slot.offset;
    all.insert(all.end(), first, first + slot.elements);
  }
  return all;
}

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest()
      : graph_(small()), parameters_({}, graph_), snapshot_({}, parameters_, "sgd", nullptr, false) {
    fill(parameters_);
    snapshot_.take();
    snapshot_.finish();
    snapshot_.add_to(checkpoint_);
  }

  std::vector<float> restored(const Checkpoint& checkpoint) {
    const Parameters other({}, graph_);
    restore_model(checkpoint, "file.h5", {}, other, "sgd", nullptr);
    return values_of(other);
  }

  Graph graph_;
  Parameters parameters_;
  Snapshot snapshot_;
  Checkpoint checkpoint_;
};

TEST_F(SnapshotTest, NamesAndShapesArePyTorchs) {
  std::vector<std::string> tensors;
  for (const Checkpoint::Named& named : checkpoint_.tensors)
    tensors.push_back(named.name + " " + to_string(named.tensor.shape()));
  EXPECT_THAT(tensors, ElementsAre("model/conv1.weight (3, 2, 3, 3)", "model/bn1.weight (3)",
                                   "model/bn1.bias (3)", "model/fc.weight (2, 48)", "model/fc.bias (2)",
                                   "state/bn1.running_mean (3)", "state/bn1.running_var (3)"));
}

TEST_F(SnapshotTest, WhatIsPutBackIsWhatWasTaken) {
  EXPECT_EQ(restored(checkpoint_), values_of(parameters_));
}

TEST_F(SnapshotTest, NamesOfEarlierVersionsAreRead) {
  const std::map<std::string, std::string> old = {{"model/conv1.weight", "model/conv1/weight"},
                                                  {"model/bn1.weight", "model/bn1/scale"},
                                                  {"model/bn1.bias", "model/bn1/shift"},
                                                  {"model/fc.weight", "model/fc/weight"},
                                                  {"model/fc.bias", "model/fc/bias"}};
  Checkpoint before;
  for (const Checkpoint::Named& named : checkpoint_.tensors)
    if (const auto found = old.find(named.name); found != old.end())
      before.tensors.push_back({found->second, named.tensor});
  // Both running statistics were one tensor.
  std::vector<float> running;
  for (const Checkpoint::Named& named : checkpoint_.tensors)
    if (named.name.starts_with("state/"))
      running.insert(running.end(), named.tensor.data<float>(), named.tensor.data<float>() + 3);
  before.tensors.push_back({"state/bn1/running", ConstTensor(running.data(), DType::f32, {2, 3})});
  EXPECT_EQ(restored(before), values_of(parameters_));
}

TEST_F(SnapshotTest, AMissingTensorIsNamed) {
  checkpoint_.tensors.pop_back();
  try {
    restored(checkpoint_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "file.h5 is a checkpoint of another model or optimizer: it has no tensor state/bn1.running_var.");
  }
}

}  // namespace
}  // namespace lockstep
