#include "src/train/objective/objective.h"

#include <gmock/gmock.h>

#include <cmath>

namespace lockstep {
namespace {

using testing::HasSubstr;

DataSignature classes_of(const std::vector<int64_t>& counts, const Shape& y_shape = {}) {
  return {{4}, DType::f32, TargetKind::classes, y_shape, static_cast<int64_t>(counts.size()), counts};
}

std::string error_of(const TrainOptions& options, const DataSignature& data) {
  try {
    target_task(options);
    const Objective objective({}, options, data);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Objective, BalancedWeightsMakeEachClassCountAlike) {
  TrainOptions options;
  options.train.class_weights.kind = ClassWeights::Kind::balanced;
  // 12 targets of three classes that occur: 12 / (3 * 6), 12 / (3 * 4), 12 / (3 * 2).
  const Objective objective({}, options, classes_of({6, 4, 0, 2}));
  EXPECT_TRUE(objective.weighs_targets());
  EXPECT_EQ(objective.describe_loss(), "cross-entropy, class weights 0.667 to 2");

  // A row of each class, and no preference: the loss is log 4, and the weights add to 0.67 + 1 + 1 + 2.
  const std::vector<float> logits(16);
  const std::vector<int32_t> labels = {0, 1, 2, 3};
  const MicroBatchInfo info{.step = 0, .valid = 4, .weight = 1};
  std::vector<float> sums(kLossMetrics);
  objective.loss(&info, ConstTensor(logits.data(), DType::f32, {4, 4}),
                 ConstTensor(labels.data(), DType::i32, {4}), {},
                 Tensor(sums.data(), DType::f32, {kLossMetrics}));
  EXPECT_FLOAT_EQ(sums[2], 12.f / 18 + 1 + 1 + 2);
  EXPECT_FLOAT_EQ(sums[0], std::log(4.f) * sums[2]);
}

TEST(Objective, ReadsPaddedOutputsWhereARowHasTheClasses) {
  const Objective mask({}, {}, classes_of({1, 1, 1}, {2, 2}));
  EXPECT_TRUE(mask.reads_padded({2, 2, 3}));
  EXPECT_FALSE(mask.reads_padded({12})) << "all positions in one row";
  EXPECT_TRUE(Objective({}, {}, classes_of({1, 1, 1})).reads_padded({3}));
  TrainOptions values;
  values.data.task = TargetTask::values;
  EXPECT_FALSE(Objective({}, values, {{4}, DType::f32, TargetKind::values, {3}, 3}).reads_padded({3}));
}

TEST(Objective, OptionsThatDoNotFitAreNamed) {
  TrainOptions options;
  options.train.class_weights = {ClassWeights::Kind::given, {1, 2}};
  EXPECT_EQ(error_of(options, classes_of({1, 1, 1})),
            "train.class_weights has 2 weights, but the data has 3 classes. Give one for each class.");
  options = {};
  options.train.pos_weight = {1, 2};
  EXPECT_EQ(error_of(options, {{4}, DType::f32, TargetKind::labels, {3}, 3}),
            "train.pos_weight has 2 weights, but the targets have 3 labels. Give one weight, or one for each "
            "label.");
  options = {};
  options.data.task = TargetTask::values;
  options.train.loss = Loss::cross_entropy;
  EXPECT_EQ(error_of(options, classes_of({1, 1})),
            "train.loss = \"cross_entropy\" does not fit data.task = \"values\": it compares classes. Leave "
            "one of the two out.");
  options = {};
  options.data.task = TargetTask::tokens;
  EXPECT_EQ(error_of(options, classes_of({1, 1})), "no error");
  options.train.loss = Loss::cross_entropy;
  EXPECT_EQ(error_of(options, classes_of({1, 1})), "no error");
  options.train.loss = Loss::huber;
  EXPECT_THAT(error_of(options, classes_of({1, 1})), HasSubstr("does not fit data.task = \"tokens\""));
}

TEST(Objective, TheNetworkAnswersAtEachPositionOrInOneVector) {
  const Objective mask({}, {}, classes_of({5, 5, 5}, {4, 6, 1}));
  const NetworkOutput output = mask.network_output();
  EXPECT_EQ(output.width, 3);
  EXPECT_EQ(output.shape(), (Shape{4, 6, 3}));
  EXPECT_TRUE(output.accepts({4, 6, 3}));
  EXPECT_TRUE(output.accepts({72}));
  EXPECT_FALSE(output.accepts({6, 4, 3}));
  EXPECT_FALSE(output.accepts({3}));
  const Objective numbers({}, {}, {{4}, DType::f32, TargetKind::values, {4, 6}, 24});
  EXPECT_TRUE(numbers.network_output().accepts({4, 6, 1}));
  EXPECT_TRUE(numbers.network_output().accepts({24}));
  EXPECT_FALSE(numbers.network_output().accepts({6, 4, 1}));
}

TEST(DataSignature, KeepsItsTargetsInACheckpoint) {
  const DataSignature before = classes_of({3, 4}, {5, 6});
  const DataSignature after = parse_signature(to_json(before));
  EXPECT_EQ(after.target_kind, TargetKind::classes);
  EXPECT_EQ(after.y_shape, (Shape{5, 6}));
  EXPECT_EQ(after.class_targets, before.class_targets);
  // Of a checkpoint from before there were such counts.
  const DataSignature old =
      parse_signature(R"({"x_shape":[4],"x_dtype":"float32","target":"classes","y_shape":[],"outputs":2})");
  EXPECT_TRUE(old.class_targets.empty());
}

}  // namespace
}  // namespace lockstep
