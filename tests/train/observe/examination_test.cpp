#include "src/train/observe/examination.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "src/graph/layers/layers.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

/// Five samples of which the last is padding, in micro-batches of 3, for a network of two layers without
/// biases and the mean squared error.
class ExaminationTest : public test::BackendTest {
 protected:
  static constexpr int64_t kRows = 6, kReal = 5, kWidth = 4;
  static constexpr Batching kBatching{kRows, 3, 2};

  static Graph make_graph() {
    Graph graph({kWidth});
    graph.add("first", layers::linear({.outputs = 2, .bias = false}));
    graph.add("second", layers::linear({.outputs = 1, .bias = false}));
    return graph;
  }
  /// The first place when a sample's inputs, and all weights of a layer, have these values.
  std::optional<Place> examine(int64_t row, float input, float first, float second) {
    TrainOptions options;
    options.train.loss = Loss::mean_squared_error;
    const Task task(exec(), options, {{kWidth}, DType::f32, TargetKind::values, {1}, 1});
    const Parameters parameters(exec(), graph_);
    const ParameterLayout& layout = parameters.layout();
    for (size_t i = 0; i < layout.parameters.size(); ++i)
      test::to_backend(exec(), parameters.parameter(static_cast<int>(i)),
                       std::vector<float>(static_cast<size_t>(layout.parameters[i].elements),
                                          layout.parameters[i].node == 0 ? first : second));
    std::vector<float> x(kRows * kWidth, 0.5f), y(kRows, 0.25f);
    std::fill_n(x.begin() + row * kWidth, kWidth, input);
    std::vector<int64_t> index = {10, 11, 12, 13, 14, -1};
    Batch batch;
    batch.global_valid = kReal;
    batch.x = Tensor(x.data(), DType::f32, {kRows, kWidth});
    batch.y = Tensor(y.data(), DType::f32, {kRows, 1});
    batch.sample_index = Tensor(index.data(), DType::i64, {kRows});
    const auto found = first_not_finite(exec(), task, graph_, parameters, kBatching, 0, batch, 1);
    if (found) names_ = names_of(found->order, graph_, layout);
    return found;
  }

  Graph graph_ = make_graph();
  PlaceNames names_;
};
INSTANTIATE_FOR_BACKENDS(ExaminationTest);

TEST_P(ExaminationTest, FindsNothingWhereAllIsFinite) { EXPECT_FALSE(examine(3, 1, 0.5f, 0.5f)); }

TEST_P(ExaminationTest, NamesTheFirstLayerAndItsSample) {
  EXPECT_EQ(examine(4, 3e38f, 1, 1)->sample, 14);
  EXPECT_EQ(names_.layer, "first");
  EXPECT_EQ(names_.tensor, "first.output");
  EXPECT_EQ(names_.pass, "forward");
  EXPECT_EQ(examine(1, 1e20f, 1, 1e25f)->sample, 11);
  EXPECT_EQ(names_.tensor, "second.output");
}

TEST_P(ExaminationTest, NamesTheInputItself) {
  EXPECT_EQ(examine(0, std::numeric_limits<float>::quiet_NaN(), 1, 1)->sample, 10);
  EXPECT_EQ(names_.pass, "input");
}

TEST_P(ExaminationTest, NamesTheLossWhereTheLayersAreFinite) {
  ASSERT_TRUE(examine(2, 1e20f, 1, 1));
  EXPECT_EQ(names_.pass, "loss");
}

TEST_P(ExaminationTest, NamesTheGradientThatOverflowsFirst) {
  // Outputs of 4e-10 * 1e25 = 4e15, whose square is finite, as is the gradient of `second`, 1e15 * 4e15; that
  // of `first` has the inputs as a factor.
  const auto found = examine(2, 1e25f, 1e-10f, 0.5f);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->sample, -1);
  EXPECT_EQ(names_.tensor, "first.weight");
  EXPECT_EQ(names_.layer, "first");
  EXPECT_EQ(names_.pass, "backward");
}

}  // namespace
}  // namespace lockstep
