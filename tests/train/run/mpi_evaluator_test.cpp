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
    Model(Exec exec, const Graph& graph, const Dataset& dataset, int lanes)
        : task(exec, {}, signature_of(dataset)),
          parameters(exec, graph),
          pool(lanes),
          evaluator(exec, pool, task, graph, parameters, kMicroBatch) {
      parameters.initialize(5);
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
  EXPECT_EQ(evaluation.accuracy, correct / kSamples);
  const uint64_t mine = hash_bytes(std::as_bytes(std::span(&evaluation.loss, 1)));
  for (const uint64_t hash : world.gather(mine)) EXPECT_EQ(hash, mine);
}

}  // namespace
}  // namespace lockstep
