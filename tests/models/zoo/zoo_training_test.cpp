// Every built-in model, at its small size, in training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "src/core/error.h"
#include "tests/graph/network_run.h"
#include "tests/models/zoo/model_run.h"
#include "tests/support/thread_communicator.h"

namespace lockstep {

void PrintTo(const ModelEntry& model, std::ostream* out) { *out << model.name; }

namespace {

std::string name_of(const testing::TestParamInfo<ModelEntry>& info) { return info.param.name; }

class ZooTraining : public testing::TestWithParam<ModelEntry> {};
INSTANTIATE_TEST_SUITE_P(Models, ZooTraining, testing::ValuesIn(model_registry()), name_of);

// The second batch is short: one micro-batch is half padding, another all of it.
TEST_P(ZooTraining, HasTheSameBitsOnAnyNumberOfThreadsAndRanks) {
  constexpr int64_t kGlobalBatch = 8, kMicroBatch = 2;
  constexpr int kMicroBatches = 4;
  const std::vector<int64_t> valid = {8, 5};
  const auto train = [&](int lanes, std::unique_ptr<Communicator> communicator) {
    const Batching batching{kGlobalBatch, kMicroBatch, kMicroBatches / communicator->size()};
    return ModelRun(Exec{}, GetParam(), batching, lanes, std::move(communicator)).train(valid);
  };
  const ModelRun::Result alone = train(1, make_self_communicator());
  ASSERT_EQ(alone.losses.size(), valid.size());
  for (const double loss : alone.losses) EXPECT_TRUE(std::isfinite(loss)) << loss;
  for (const int lanes : {2, 4})
    EXPECT_EQ(train(lanes, make_self_communicator()), alone) << lanes << " threads";
  for (const int size : {2, 4}) {
    test::ThreadRanks ranks(size, {.reproducible = true});
    std::vector<ModelRun::Result> results(static_cast<size_t>(size));
    ranks.run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
      results[static_cast<size_t>(rank)] = train(1, std::move(communicator));
    });
    EXPECT_THAT(results, testing::Each(alone)) << size << " ranks";
  }
}

TEST_P(ZooTraining, ReadsTheOutputOfEveryLayer) {
  const ModelUse& use = GetParam().small;
  const Graph graph = build_model({.name = GetParam().name, .keys = use.keys}, use.input, use.output, 1);
  for (int value = 1; value <= graph.output(); ++value)
    EXPECT_GT(graph.readers(value), 0) << graph.nodes()[static_cast<size_t>(value) - 1].name;
}

TEST_P(ZooTraining, IsBuiltForItsStandardData) {
  const ModelEntry& model = GetParam();
  const Graph graph = build_model({.name = model.name, .keys = model.standard.keys}, model.standard.input,
                                  model.standard.output, 1);
  EXPECT_TRUE(model.standard.output.accepts(graph.shape(graph.output())))
      << to_string(graph.shape(graph.output()));
  ModelSpec spec{.name = model.name};
  for (const ModelKey& key : model.keys) spec.keys[key.name] = key.standard;
  for (const auto& [key, value] : model.standard.keys) spec.keys[key] = value;
  const Graph spelled_out = build_model(spec, model.standard.input, model.standard.output, 1);
  ASSERT_EQ(spelled_out.nodes().size(), graph.nodes().size());
  for (size_t i = 0; i < graph.nodes().size(); ++i)
    EXPECT_EQ(spelled_out.nodes()[i].layer->describe(), graph.nodes()[i].layer->describe());
}

}  // namespace
}  // namespace lockstep
