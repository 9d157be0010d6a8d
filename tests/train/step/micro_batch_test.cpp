#include "src/train/step/micro_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "src/graph/layers/layers.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

TEST(MicroBatchInfo, CountsTheRealSamplesFromItsPlaceOn) {
  EXPECT_EQ(micro_batch_info(0, 3, 5, 7, 0.5f).valid, 3);
  EXPECT_EQ(micro_batch_info(3, 3, 5, 7, 0.5f).valid, 2);
  EXPECT_EQ(micro_batch_info(6, 3, 5, 7, 0.5f).valid, 0);
  EXPECT_EQ(micro_batch_info(6, 3, 5, 7, 0.5f).step, 7);
  EXPECT_EQ(micro_batch_info(6, 3, 5, 7, 0.5f).weight, 0.5f);
}

/// Six samples of two numbers each, in micro-batches of two, for a network of two layers.
class MicroBatchTest : public test::BackendTest {
 protected:
  static constexpr int64_t kAll = 6, kRows = 2, kWidth = 2;

  MicroBatchTest() {
    graph_.add("first", layers::linear({.outputs = 3}));
    graph_.add("second", layers::linear({.outputs = 1}));
    batch_.global_valid = kAll;
    batch_.x = Tensor(x_.data(), DType::f32, {kAll, kWidth});
    batch_.y = Tensor(y_.data(), DType::f32, {kAll, 1});
    batch_.sample_index = Tensor(index_.data(), DType::i64, {kAll});
  }
  Task make_task() const {
    TrainOptions options;
    options.train.loss = Loss::mean_squared_error;
    return Task(exec(), options, {{kWidth}, DType::f32, TargetKind::values, {1}, 1});
  }

  std::vector<float> x_ = {0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51}, y_ = {0, 1, 2, 3, 4, 5};
  std::vector<int64_t> index_ = {60, 61, 62, 63, 64, 65};
  Batch batch_;
  Graph graph_{{kWidth}};
};
INSTANTIATE_FOR_BACKENDS(MicroBatchTest);

TEST_P(MicroBatchTest, LoadsAsManyRowsAsFitFromTheFirstOneOn) {
  const Task task = make_task();
  const MicroBatches two(exec(), task, kRows, 2);
  CopyStream copies(exec());
  two.load(copies, batch_, 2);
  copies.join();
  const MicroBatch last = two.at(1, nullptr);
  EXPECT_EQ(test::from_backend(exec(), last.x), (std::vector<float>{40, 41, 50, 51}));
  EXPECT_EQ(test::from_backend(exec(), last.y), (std::vector<float>{4, 5}));
  EXPECT_EQ(test::from_backend(exec(), std::span(last.sample_index.data<int64_t>(), 2)),
            (std::vector<int64_t>{64, 65}));
  EXPECT_EQ(test::from_backend(exec(), two.at(0, nullptr).y), (std::vector<float>{2, 3}));
}

TEST_P(MicroBatchTest, ABatchWithoutTargetsIsLoadedToo) {
  const Task task = make_task();
  const MicroBatches all(exec(), task, kRows, 3);
  batch_.y = Tensor{};
  CopyStream copies(exec());
  all.load(copies, batch_);
  copies.join();
  EXPECT_EQ(test::from_backend(exec(), all.at(2, nullptr).x), (std::vector<float>{40, 41, 50, 51}));
}

TEST_P(MicroBatchTest, TrainingAnswersAsEvaluationDoesAndShowsEachPartInOrder) {
  const Task task = make_task();
  Parameters parameters(exec(), graph_);
  parameters.initialize(1);
  const MicroBatches all(exec(), task, kRows, 3);
  CopyStream copies(exec());
  all.load(copies, batch_);
  copies.join();
  const test::OnBackend<MicroBatchInfo> info(exec(), micro_batch_info(0, kRows, kAll, 0, 0.5f));
  const MicroBatch second = all.at(1, info.get());

  Network evaluated(exec(), graph_, parameters, kRows, /*training=*/false);
  const test::Guarded<float> metrics(exec(), {kLossMetrics});
  evaluate(task, evaluated, second, metrics);

  Network trained(exec(), graph_, parameters, kRows, /*training=*/true);
  const Buffer reduced(exec(), Memory::device,
                       static_cast<size_t>(parameters.layout().reduced_size()) * sizeof(float));
  std::vector<std::string> seen;
  std::vector<float> input, output;
  train(task, trained, second, reduced.as<float>(), /*joint_sum=*/nullptr,
        {.input_done =
             [&] {
               seen.push_back("input");
               input = test::from_backend(exec(), trained.input());
             },
         .forward_done =
             [&](int node, ConstTensor values) {
               seen.push_back("forward " + std::to_string(node));
               output = test::from_backend(exec(), values);
             },
         .loss_done = [&] { seen.push_back("loss"); },
         .gradients_done = [&](int node) { seen.push_back("gradients " + std::to_string(node)); }});
  EXPECT_THAT(seen,
              testing::ElementsAre("input", "forward 0", "forward 1", "loss", "gradients 1", "gradients 0"));
  EXPECT_EQ(input, (std::vector<float>{20, 21, 30, 31}));
  EXPECT_EQ(output, test::from_backend(exec(), evaluated.output()));
  EXPECT_EQ(test::from_backend(exec(), reduced.as<float>().first(1))[0], metrics.values()[0]);
  // The same with nobody looking on.
  train(task, trained, second, reduced.as<float>(), /*joint_sum=*/nullptr, {});
}

}  // namespace
}  // namespace lockstep
