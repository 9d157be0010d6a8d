#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/core/hash.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/train/run/evaluator.h"
#include "tests/io/data_files.h"
#include "tests/support/compare.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

constexpr int64_t kSamples = 37, kMicroBatch = 4, kClasses = 3;

/// A data set of random images, and a network that has not been trained.
class MpiEvaluator : public MpiBackendTest {
 protected:
  void SetUp() override {
    MpiBackendTest::SetUp();
    if (IsSkipped()) return;
    const std::string path = folder_ / "data.h5";
    RandomStream random(3, 3);
    std::vector<uint8_t> x(kSamples * 36);
    for (uint8_t& pixel : x) pixel = static_cast<uint8_t>(random.next_below(256));
    for (int64_t i = 0; i < kSamples; ++i)
      labels_.push_back(static_cast<int32_t>(random.next_below(kClasses)));
    labels_[0] = kClasses - 1;
    put(path, "/test/x", {kSamples, 6, 6, 1}, x);
    put(path, "/test/y", {kSamples}, labels_);
    dataset_ = open_dataset({.files = {path}, .x = "/test/x", .y = "/test/y"}, {.probe = false});
    graph_.add("conv", layers::conv2d({.filters = 8}));
    graph_.add("norm", layers::batch_norm({}));
    graph_.add("relu", layers::relu());
    graph_.add("flatten", layers::flatten());
    graph_.add("dropout", layers::dropout({.rate = 0.5}));  // which evaluation leaves out
    graph_.add("dense", layers::linear({.outputs = kClasses}));
    graph_ = rewrite(std::move(graph_));
  }

  /// A model on an Exec, and what evaluates it.
  struct Model {
    Model(Exec exec, const Graph& graph, const Dataset& dataset, int lanes, int64_t micro_batch = kMicroBatch,
          bool capture = true)
        : task(exec, {}, signature_of(dataset)),
          parameters(exec, graph),
          pool(lanes),
          evaluator(exec, pool, task, graph, parameters, micro_batch, metrics(task), capture) {
      parameters.initialize(5);
    }
    /// All that fit.
    static std::vector<Metric> metrics(const Task& task) {
      TrainOptions options;
      options.train.metrics = {"accuracy", "top_2", "balanced_accuracy", "precision", "recall", "f1",
                               "iou",      "auc",   "perplexity"};
      return chosen_metrics(options, task.objective());
    }
    Task task;
    Parameters parameters;
    ThreadPool pool;
    Evaluator evaluator;
  };

  /// Probabilities (samples, classes).
  std::vector<float> predict(Model& model) {
    std::vector<float> all;
    model.evaluator.predict(*dataset_, [&](int64_t first, ConstTensor outputs) {
      EXPECT_EQ(first * kClasses, static_cast<int64_t>(all.size())) << "in order";
      all.insert(all.end(), outputs.data<float>(), outputs.data<float>() + outputs.elements());
    });
    return all;
  }

  TemporaryFolder folder_;
  std::vector<int32_t> labels_;
  std::unique_ptr<Dataset> dataset_;
  Graph graph_{{6, 6, 1}};
};
INSTANTIATE_FOR_BACKENDS(MpiEvaluator);

TEST_P(MpiEvaluator, PredictsAsTheCpuDoes) {
  Model model(exec(), graph_, *dataset_, 1), reference({}, graph_, *dataset_, 2);
  const std::vector<float> probabilities = predict(model);
  ASSERT_EQ(static_cast<int64_t>(probabilities.size()), kSamples * kClasses);
  test::expect_close(probabilities, test::to_double(predict(reference)), test::kFunction, "probabilities");
  EXPECT_EQ(predict(model), probabilities) << "the second time";
}

// What a replayed graph reads at each launch, and the two sets of samples between which rounds alternate: in
// the second evaluation everything is replayed.
TEST_P(MpiEvaluator, CapturedEqualsUncapturedToTheBitAlsoAfterTraining) {
  Model captured(exec(), graph_, *dataset_, 1), uncaptured(exec(), graph_, *dataset_, 1, kMicroBatch, false);
  std::vector<double> losses;
  for (const uint64_t seed : {1, 2, 3}) {
    captured.parameters.initialize(seed);
    uncaptured.parameters.initialize(seed);
    losses.push_back(captured.evaluator.evaluate(world, *dataset_).loss);
    EXPECT_EQ(losses.back(), uncaptured.evaluator.evaluate(world, *dataset_).loss);
    EXPECT_EQ(predict(captured), predict(uncaptured));
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_NE(losses[1], losses[2]);
}

// The host waits for no round where the loss counts what accuracy needs: samples are copied beside the rounds
// before.
TEST_P(MpiEvaluator, ARoundKeepsItsSamplesWhileTheNextOnesAreCopied) {
  Model model(exec(), graph_, *dataset_, 1);
  TrainOptions options;
  options.train.metrics = {"accuracy"};
  Evaluator evaluator(exec(), model.pool, model.task, graph_, model.parameters, kMicroBatch,
                      chosen_metrics(options, model.task.objective()));
  const Evaluation expected = model.evaluator.evaluate(world, *dataset_);
  for (int repeat = 0; repeat < 4; ++repeat) {
    const Evaluation evaluation = evaluator.evaluate(world, *dataset_);
    EXPECT_EQ(evaluation.loss, expected.loss);
    EXPECT_EQ(evaluation.watched("validation_accuracy"), expected.watched("validation_accuracy"));
  }
}

TEST_P(MpiEvaluator, LossAndAccuracyAreThoseOfThePredictionsOnAnyNumberOfRanks) {
  Model model(exec(), graph_, *dataset_, exec().on_cuda() ? 1 : 2);
  const std::vector<float> probabilities = predict(model);
  double loss = 0, correct = 0;
  for (size_t i = 0; i < labels_.size(); ++i) {
    const auto first = probabilities.begin() + static_cast<int64_t>(i) * kClasses;
    loss -= std::log(static_cast<double>(first[labels_[i]]));
    correct += std::max_element(first, first + kClasses) - first == labels_[i];
  }
  const Evaluation evaluation = model.evaluator.evaluate(world, *dataset_);
  EXPECT_EQ(evaluation.samples, kSamples);
  EXPECT_NEAR(evaluation.loss, loss / kSamples, 1e-5);
  EXPECT_EQ(evaluation.watched("validation_accuracy"), correct / kSamples);
  EXPECT_NEAR(evaluation.watched("validation_perplexity"), std::exp(loss / kSamples), 1e-5);
  std::vector<double> values{evaluation.loss};
  for (const Evaluation::Value& metric : evaluation.metrics) values.push_back(metric.value);
  ASSERT_EQ(values.size(), 10u);
  const uint64_t mine = hash_bytes(std::as_bytes(std::span(values)));
  for (const uint64_t hash : world.gather(mine)) EXPECT_EQ(hash, mine);

  // One thread, and larger micro-batches: metrics are the same to the last bit.
  Model other(exec(), graph_, *dataset_, 1, 7);
  const Evaluation again = other.evaluator.evaluate(world, *dataset_);
  for (size_t i = 0; i < evaluation.metrics.size(); ++i) {
    // Of logits that may be rounded in another way.
    if (evaluation.metrics[i].name == "perplexity") continue;
    EXPECT_EQ(again.metrics[i].value, evaluation.metrics[i].value) << evaluation.metrics[i].name;
  }
}

}  // namespace
}  // namespace lockstep
