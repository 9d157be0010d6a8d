// Training of networks with auxiliary outputs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/train/step/micro_batch.h"
#include "tests/support/compare.h"
#include "tests/support/thread_communicator.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

constexpr double kAuxiliary = 0.3;
constexpr int64_t kRows = 4, kClasses = 3;

enum class Heads { main, auxiliary, both };

/// A trunk, and from the middle of it one head, from its end another. The layers have the same names, and so
/// the same weights, whichever heads there are.
Graph network(Heads heads, double main_weight = 1, int64_t padding = 0) {
  Graph graph({6, 6, 1}, 9);
  graph.add("block.conv", layers::conv2d({.filters = 4, .padding = {1, 1}}));
  graph.add("block.norm", layers::batch_norm());
  graph.add("block.relu", layers::relu());
  const int middle = graph.add("pool", layers::max_pool2d());
  if (heads != Heads::main) {
    graph.add("aux.flatten", layers::flatten());
    graph.add("aux.hidden", layers::linear({.outputs = 6}));
    graph.add("aux.relu", layers::relu());
    graph.add("aux", layers::linear({.outputs = kClasses}));
  }
  if (heads == Heads::auxiliary) return graph;
  graph.add("conv2", layers::conv2d({.filters = 4, .padding = {1, 1}}), {middle});
  graph.add("relu2", layers::relu());
  graph.add("flatten", layers::flatten());
  graph.add("output", layers::linear({.outputs = kClasses + padding}));
  if (padding > 0) graph.add("classes", layers::slice({.count = kClasses}));
  if (heads == Heads::both) graph.set_loss_weight("aux", kAuxiliary);
  if (main_weight != 1) graph.set_loss_weight(padding > 0 ? "classes" : "output", main_weight);
  return graph;
}

/// What one micro-batch gives.
struct Trained {
  std::vector<float> total;
  std::vector<std::vector<float>> own;
  std::map<std::string, std::vector<float>> gradients;
};

Trained train_once(Exec exec, const Graph& graph, const TrainOptions& options) {
  const Task task(exec, options, {{6, 6, 1}, DType::f32, TargetKind::classes, {}, kClasses});
  Parameters parameters(exec, graph);
  parameters.initialize(1);
  const ParameterLayout& layout = parameters.layout();
  Network network(exec, graph, parameters, kRows, /*training=*/true);
  std::vector<float> x = test::random_values(kRows * 36, 4);
  std::vector<int32_t> y = {0, 2, 1, 2};
  std::vector<int64_t> index = {10, 11, 12, 13};
  Batch batch;
  batch.global_valid = 3;
  batch.x = Tensor(x.data(), DType::f32, {kRows, 6, 6, 1});
  batch.y = Tensor(y.data(), DType::i32, {kRows});
  batch.sample_index = Tensor(index.data(), DType::i64, {kRows});
  const MicroBatches samples(exec, task, kRows, 1);
  CopyStream copies(exec);
  samples.load(copies, batch);
  copies.join();
  const test::OnBackend<MicroBatchInfo> info(exec, micro_batch_info(0, kRows, 3, 0, 1.0f / 3));
  const test::Guarded<float> reduced(exec, {layout.reduced_size()});
  train(task, network, samples.at(0, info.get()), reduced.span(), nullptr, {});
  const std::vector<float> all = reduced.values();
  const auto floats = [&](int64_t offset, int64_t count) {
    return std::vector<float>(all.begin() + offset, all.begin() + offset + count);
  };
  Trained trained{floats(0, kLossMetrics), {}, {}};
  for (int64_t k = 0; k < layout.weighted_outputs; ++k)
    trained.own.push_back(floats(layout.output_metrics_offset() + k * kLossMetrics, kLossMetrics));
  for (const ParameterLayout::Slot& slot : layout.parameters)
    trained.gradients[slot.name] = floats(layout.gradients_offset() + slot.offset, slot.elements);
  return trained;
}

class OutputsTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(OutputsTest);

TEST_P(OutputsTest, TheGradientIsTheWeightedSumOfThoseOfEachOutputAlone) {
  TrainOptions weighted;
  weighted.train.class_weights = {ClassWeights::Kind::given, {0.5, 1, 3}};
  weighted.train.label_smoothing = 0.1;
  for (const TrainOptions& options : {TrainOptions{}, weighted})
    for (const std::vector<std::string>& recompute : {std::vector<std::string>{"none"}, {"*"}}) {
      const auto trained = [&](Heads heads, double main_weight = 1) {
        return train_once(exec(), rewrite(network(heads, main_weight), recompute), options);
      };
      const Trained main = trained(Heads::main), auxiliary = trained(Heads::auxiliary),
                    both = trained(Heads::both, 0.7);
      EXPECT_TRUE(main.own.empty());
      EXPECT_THAT(both.own, testing::ElementsAre(main.total, auxiliary.total)) << "without their weights";
      EXPECT_NEAR(both.total[0], 0.7 * double{main.total[0]} + kAuxiliary * double{auxiliary.total[0]}, 1e-6);
      EXPECT_EQ(both.total[1], main.total[1]) << "right answers are the main output's";
      EXPECT_EQ(both.total[2], main.total[2]);
      for (const auto& [name, gradient] : both.gradients) {
        std::vector<double> expected(gradient.size(), 0.0);
        const auto add = [&, parameter = name](const Trained& part, double weight) {
          const auto found = part.gradients.find(parameter);
          if (found == part.gradients.end()) return;
          for (size_t i = 0; i < expected.size(); ++i) expected[i] += weight * double{found->second[i]};
        };
        add(main, 0.7);
        add(auxiliary, kAuxiliary);
        test::expect_close(gradient, expected, test::kNormalized, name.c_str());
      }
    }
}

TEST_P(OutputsTest, AMainOutputOfWeightOneHasTheBitsThatItHasAlone) {
  const Trained main = train_once(exec(), network(Heads::main), {}),
                both = train_once(exec(), network(Heads::both), {});
  for (const std::string name : {"output.weight", "output.bias", "conv2.weight", "conv2.bias"})
    EXPECT_EQ(both.gradients.at(name), main.gradients.at(name)) << name;
}

TEST_P(OutputsTest, ALossThatReadsPaddedOutputsChangesNoBit) {
  TrainOptions options;
  options.train.label_smoothing = 0.1;
  for (const Heads heads : {Heads::main, Heads::both})
    for (const double weight : {1.0, 0.7}) {
      const Graph copied = network(heads, weight, 5), read = with_padded_output(copied.clone());
      EXPECT_EQ(read.output(), copied.output() - 1);
      EXPECT_EQ(read.outputs()[0].weight, weight);
      const Trained apart = train_once(exec(), copied, options), padded = train_once(exec(), read, options);
      EXPECT_EQ(padded.total, apart.total);
      EXPECT_EQ(padded.own, apart.own);
      EXPECT_EQ(padded.gradients, apart.gradients);
    }
}

TEST_P(OutputsTest, RecomputationChangesNoBit) {
  const Trained kept = train_once(exec(), rewrite(network(Heads::both)), {}),
                again = train_once(exec(), rewrite(network(Heads::both), {"*"}), {});
  EXPECT_EQ(again.total, kept.total);
  EXPECT_EQ(again.gradients, kept.gradients);
}

TEST_P(OutputsTest, CapturedEqualsUncapturedToTheBit) {
  const std::vector<int64_t> valid = {12, 12, 7, 12, 1};
  TinyRun captured(exec(), {12, 4, 3}, {.auxiliary = kAuxiliary}),
      uncaptured(exec(), {12, 4, 3}, {.capture = false, .auxiliary = kAuxiliary});
  EXPECT_EQ(captured.train(valid), uncaptured.train(valid));
  EXPECT_EQ(captured.hash(), uncaptured.hash());
}

TEST_P(OutputsTest, TheLossOfAStepIsTheWeightedSumOfThoseItReports) {
  TinyRun run(exec(), {12, 4, 3}, {.auxiliary = kAuxiliary});
  for (int64_t step = 0; step < 3; ++step) {
    run.run(run.make_batch(step, 11).batch);
    const StepMetrics metrics = *run.flush();
    ASSERT_EQ(metrics.output_losses.size(), 2u);
    EXPECT_NEAR(metrics.loss, metrics.output_losses[0] + kAuxiliary * metrics.output_losses[1], 1e-5);
    EXPECT_NE(metrics.output_losses[0], metrics.output_losses[1]);
  }
  TinyRun one(exec(), {12, 4, 3});
  one.run(one.make_batch(0, 11).batch);
  EXPECT_TRUE(one.flush()->output_losses.empty());
}

TEST(Outputs, ReproducibleTrainingHasTheBitsOfOneRank) {
  struct Result {
    std::vector<std::vector<double>> losses;
    uint64_t hash = 0;
    bool operator==(const Result&) const = default;
  };
  const auto train = [](std::unique_ptr<Communicator> communicator) {
    const int ranks = communicator->size();
    TinyRun run(Exec{}, {32, 2, 16 / ranks}, {.auxiliary = kAuxiliary}, std::move(communicator));
    Result result;
    for (const int64_t valid : {32, 32, 5, 32, 1}) {
      run.run(run.make_batch(valid, valid).batch);
      const StepMetrics metrics = *run.flush();
      result.losses.push_back(metrics.output_losses);
      result.losses.back().push_back(metrics.loss);
    }
    result.hash = run.hash();
    return result;
  };
  const Result alone = train(make_self_communicator());
  for (const int size : {2, 4, 16}) {
    test::ThreadRanks ranks(size, {.reproducible = true});
    std::vector<Result> results(static_cast<size_t>(size));
    ranks.run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
      results[static_cast<size_t>(rank)] = train(std::move(communicator));
    });
    for (const Result& result : results) EXPECT_EQ(result, alone) << size << " ranks";
  }
}

}  // namespace
}  // namespace lockstep
