#include "src/train/step.h"

#include <gtest/gtest.h>

#include "comm/communicator.h"
#include "src/core/rng.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

/// One rank that trains a small network on random bytes, without files.
class TinyRun {
 public:
  TinyRun(const Batching& batching, int lanes, double clip_norm = 0)
      : batching_(batching),
        pool_(lanes),
        optimizer_({}, optimizer_spec(clip_norm), parameters_.layout().weights_size,
                   parameters_.layout().decay),
        step_({{}, pool_, *communicator_, task_, graph_, parameters_, optimizer_}, batching, 256, true) {
    parameters_.initialize(3);
  }

  std::vector<double> train(int steps, int64_t valid) {
    std::vector<double> losses;
    const auto collect = [&](const std::optional<StepMetrics>& metrics) {
      if (metrics) losses.push_back(metrics->loss);
    };
    for (int s = 0; s < steps; ++s) collect(step_.run(batch(s, valid), s + 1, 0.05));
    collect(step_.flush());
    return losses;
  }

  std::vector<float> weights() const { return {parameters_.weights().begin(), parameters_.weights().end()}; }
  uint64_t hash() const { return parameters_.weights_hash(); }

 private:
  static DataSignature signature() { return {{6, 6, 1}, DType::u8, TargetKind::classes, {}, 3}; }
  static OptimizerSpec optimizer_spec(double clip_norm) {
    return {.name = "sgd", .lr = 0.05, .momentum = 0.9, .clip_norm = clip_norm};
  }
  static Graph make_graph() {
    Graph graph({6, 6, 1});
    graph.add("conv", make_conv2d({.filters = 8}));
    graph.add("norm", make_batch_norm({}));
    graph.add("relu", make_activation(Activation::relu));
    graph.add("flatten", make_flatten());
    graph.add("dropout", make_dropout("dropout", 0.2, 1));
    graph.add("dense", make_linear({.outputs = 3}));
    return graph;
  }

  Batch batch(int step, int64_t valid) {
    const auto rows = static_cast<size_t>(batching_.rank_batch());
    x_.assign(rows * 36, 0);
    y_.assign(rows, 0);
    index_.assign(rows, -1);
    for (size_t i = 0; i < static_cast<size_t>(valid); ++i) {
      const size_t sample = static_cast<size_t>(step) * 1000 + i;
      RandomStream random(77, sample);
      y_[i] = static_cast<int32_t>(random.next_below(3));
      for (size_t p = 0; p < 36; ++p)
        x_[i * 36 + p] = static_cast<uint8_t>(random.next_below(64) + static_cast<uint32_t>(y_[i]) * 60);
      index_[i] = static_cast<int64_t>(sample);
    }
    Batch result;
    result.global_valid = valid;
    const auto n = static_cast<int64_t>(rows);
    result.x = Tensor(x_.data(), DType::u8, {n, 6, 6, 1});
    result.y = Tensor(y_.data(), DType::i32, {n});
    result.sample_index = Tensor(index_.data(), DType::i64, {n});
    return result;
  }

  Batching batching_;
  std::vector<uint8_t> x_;
  std::vector<int32_t> y_;
  std::vector<int64_t> index_;
  ThreadPool pool_;
  Task task_{{}, TrainOptions{}, signature()};
  Graph graph_ = fuse(make_graph());
  Parameters parameters_{{}, graph_};
  Optimizer optimizer_;
  std::unique_ptr<Communicator> communicator_ = make_self_communicator();
  Step step_;
};

TEST(Step, TheNumberOfThreadsChangesNoBit) {
  const Batching batching{24, 4, 6};
  TinyRun one(batching, 1);
  const std::vector<double> losses = one.train(10, 24);
  for (const int lanes : {2, 3, 4}) {
    TinyRun several(batching, lanes);
    EXPECT_EQ(several.train(10, 24), losses) << lanes;
    EXPECT_EQ(several.hash(), one.hash()) << lanes;
  }
}

TEST(Step, LearnsATaskThatCanBeLearned) {
  TinyRun run({32, 16, 2}, 1);
  const std::vector<double> losses = run.train(300, 32);
  EXPECT_GT(losses.front(), 0.8);
  EXPECT_LT(losses.back(), 0.2);
}

TEST(Step, PaddingHasNoWeight) {
  // Ten samples in a batch of 16 and in a batch of 10: the same mean, up to the order of additions.
  TinyRun padded({16, 16, 1}, 1), exact({10, 10, 1}, 1);
  const std::vector<double> a = padded.train(5, 10), b = exact.train(5, 10);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5);
  const std::vector<float> wa = padded.weights(), wb = exact.weights();
  for (size_t i = 0; i < wa.size(); ++i) EXPECT_NEAR(wa[i], wb[i], 1e-5);
}

TEST(Step, AMicroBatchOfPaddingAloneIsHarmless) {
  TinyRun padded({16, 4, 4}, 2), exact({8, 4, 2}, 1);
  const std::vector<double> a = padded.train(5, 8), b = exact.train(5, 8);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
}

TEST(Step, ClippingShortensTheGradientAndReportsItsLength) {
  TinyRun free({8, 8, 1}, 1), clipped({8, 8, 1}, 1, 1e-3);
  const std::vector<float> before = free.weights();
  free.train(1, 8);
  clipped.train(1, 8);
  const auto distance = [&](const std::vector<float>& after) {
    double sum = 0;
    for (size_t i = 0; i < after.size(); ++i) sum += std::pow(static_cast<double>(after[i]) - before[i], 2);
    return std::sqrt(sum);
  };
  EXPECT_NEAR(distance(clipped.weights()), 0.05 * 1e-3, 1e-7);
  EXPECT_GT(distance(free.weights()), 1e-3);
}

}  // namespace
}  // namespace lockstep
