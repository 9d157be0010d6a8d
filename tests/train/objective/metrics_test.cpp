#include "src/train/objective/metrics.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "src/core/rng.h"
#include "src/train/objective/area_under_curve.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kClasses = 4, kSamples = 200;

TrainOptions with_metrics(const std::vector<std::string>& names) {
  TrainOptions options;
  options.train.metrics = names;
  return options;
}

Objective objective_of(TargetKind kind, const Shape& y_shape, int64_t outputs, const TrainOptions& o = {}) {
  return Objective({}, o, {{4}, DType::f32, kind, y_shape, outputs});
}

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  RandomStream random(seed, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.next_below(2000)) / 500 - 2;
  return values;
}

std::vector<int32_t> random_labels(int64_t count, uint32_t classes, uint64_t seed) {
  RandomStream random(seed, 2);
  std::vector<int32_t> labels(static_cast<size_t>(count));
  for (int32_t& label : labels) label = static_cast<int32_t>(random.next_below(classes));
  return labels;
}

/// The tables of samples that are added in pieces of this size, spread over two lanes.
MetricTables tables_of(const Objective& objective, const MetricNeeds& needs,
                       const std::vector<float>& outputs, const void* targets, int64_t samples,
                       int64_t piece) {
  const auto* bytes = static_cast<const std::byte*>(targets);
  const auto row = static_cast<int64_t>(outputs.size()) / samples;
  const int64_t target_bytes = objective.raw_y_shape(1).elements() * 4;
  std::vector<MetricTables> lanes(2, MetricTables(objective, needs, samples));
  for (MetricTables& lane : lanes) lane.set_reference(bytes);
  for (int64_t first = 0; first < samples; first += piece)
    lanes[static_cast<size_t>(first / piece % 2)].add(
        outputs.data() + first * row, bytes + first * target_bytes, first, std::min(piece, samples - first));
  lanes[0].add(lanes[1]);
  return lanes[0];
}

std::map<std::string, double> values_of(const Objective& objective, const std::vector<std::string>& names,
                                        const std::vector<float>& outputs, const void* targets,
                                        int64_t samples, int64_t piece) {
  const std::vector<Metric> metrics = chosen_metrics(with_metrics(names), objective);
  const MetricNeeds needs = needs_of(metrics);
  const MetricTables tables = tables_of(objective, needs, outputs, targets, samples, piece);
  std::map<std::string, double> values;
  for (const Metric& metric : metrics) values[metric.name] = value_of(metric, tables, needs);
  return values;
}

TEST(Metrics, OfClassesAreWhatTheirDefinitionsSay) {
  const Objective objective = objective_of(TargetKind::classes, {}, kClasses);
  const std::vector<float> logits = random_floats(kSamples * kClasses, 1);
  // The last class never occurs, so that it is known by its answers alone.
  const std::vector<int32_t> labels = random_labels(kSamples, kClasses - 1, 1);
  double right = 0, top = 0, loss = 0;
  std::vector<double> hits(kClasses), support(kClasses), answers(kClasses);
  for (int64_t i = 0; i < kSamples; ++i) {
    const float* z = logits.data() + i * kClasses;
    const auto label = static_cast<size_t>(labels[static_cast<size_t>(i)]);
    const auto best = static_cast<size_t>(std::max_element(z, z + kClasses) - z);
    right += best == label;
    hits[label] += best == label;
    ++support[label];
    ++answers[best];
    int64_t larger = 0;
    double sum = 0;
    for (size_t c = 0; c < kClasses; ++c) {
      larger += z[c] > z[label] || (z[c] == z[label] && c < label);
      sum += std::exp(double{z[c]});
    }
    top += larger < 2;
    loss -= z[label] - std::log(sum);
  }
  double precision = 0, recall = 0, f1 = 0, iou = 0, balanced = 0;
  for (size_t c = 0; c < kClasses; ++c) {
    precision += hits[c] / answers[c] / kClasses;
    if (support[c] > 0) recall += hits[c] / support[c] / kClasses;
    if (support[c] > 0) balanced += hits[c] / support[c] / (kClasses - 1);
    f1 += 2 * hits[c] / (support[c] + answers[c]) / kClasses;
    iou += hits[c] / (support[c] + answers[c] - hits[c]) / kClasses;
  }
  const std::vector<std::string> names{"accuracy", "top_2", "balanced_accuracy", "precision", "recall",
                                       "f1",       "iou",   "perplexity",        "auc",       "recall_2",
                                       "f1_0",     "iou_1", "precision_0"};
  const auto values = values_of(objective, names, logits, labels.data(), kSamples, 7);
  EXPECT_EQ(values.at("accuracy"), right / kSamples);
  EXPECT_EQ(values.at("top_2"), top / kSamples);
  EXPECT_NEAR(values.at("balanced_accuracy"), balanced, 1e-12);
  EXPECT_NEAR(values.at("precision"), precision, 1e-12);
  EXPECT_NEAR(values.at("recall"), recall, 1e-12);
  EXPECT_NEAR(values.at("f1"), f1, 1e-12);
  EXPECT_NEAR(values.at("iou"), iou, 1e-12);
  EXPECT_NEAR(values.at("perplexity"), std::exp(loss / kSamples), 1e-9);
  EXPECT_EQ(values.at("recall_2"), hits[2] / support[2]);
  EXPECT_EQ(values.at("precision_0"), hits[0] / answers[0]);
  EXPECT_EQ(values.at("f1_0"), 2 * hits[0] / (support[0] + answers[0]));
  EXPECT_EQ(values.at("iou_1"), hits[1] / (support[1] + answers[1] - hits[1]));
}

TEST(Metrics, DoNotDependOnHowSamplesAreCut) {
  struct Kind {
    TargetKind kind;
    Shape y_shape;
    int64_t outputs;
    std::vector<std::string> names;
  };
  const Kind kinds[] = {{TargetKind::classes, {}, 3, {"accuracy", "f1", "perplexity", "top_1", "recall_1"}},
                        {TargetKind::classes, {2, 2}, 3, {"iou", "perplexity", "accuracy"}},
                        {TargetKind::labels, {5}, 5, {"accuracy", "f1", "precision"}},
                        {TargetKind::values, {3}, 3, {"mae", "rmse", "r2"}},
                        {TargetKind::values, {2, 3}, 6, {"mae", "rmse", "r2"}}};
  for (const Kind& kind : kinds) {
    const Objective objective = objective_of(kind.kind, kind.y_shape, kind.outputs);
    const int64_t positions = objective.positions();
    std::vector<float> outputs = random_floats(kSamples * positions * kind.outputs, 3);
    // Of very different sizes, so that the order of a sum in floating point would show.
    const float factor = kind.kind == TargetKind::values ? 1e6f : 10;
    for (size_t i = 0; i < outputs.size(); i += 5) outputs[i] *= factor;
    const std::vector<int32_t> labels = random_labels(kSamples * positions, 3, 2);
    std::vector<float> numbers = random_floats(kSamples * kind.outputs, 4);
    if (kind.kind == TargetKind::labels)
      for (float& number : numbers) number = number > 0 ? 1 : 0;
    const void* targets =
        kind.kind == TargetKind::classes ? static_cast<const void*>(labels.data()) : numbers.data();
    const auto expected = values_of(objective, kind.names, outputs, targets, kSamples, kSamples);
    for (const int64_t piece : {int64_t{1}, int64_t{7}, int64_t{64}})
      EXPECT_EQ(values_of(objective, kind.names, outputs, targets, kSamples, piece), expected) << piece;
  }
}

TEST(Metrics, OfNumbersAreWhatTheirDefinitionsSay) {
  const Objective objective = objective_of(TargetKind::values, {2}, 2);
  std::vector<float> predicted = random_floats(kSamples * 2, 5), targets = random_floats(kSamples * 2, 6);
  // Large numbers that hardly differ: a sum of their squares alone would lose the difference.
  for (size_t i = 0; i < targets.size(); i += 2) {
    targets[i] += 1e6f;
    predicted[i] += 1e6f;
  }
  double absolute = 0, squared = 0, r2 = 0;
  for (size_t column = 0; column < 2; ++column) {
    double mean = 0, error = 0, deviation = 0;
    for (size_t i = column; i < targets.size(); i += 2) mean += double{targets[i]} / kSamples;
    for (size_t i = column; i < targets.size(); i += 2) {
      const double e = double{predicted[i]} - targets[i];
      absolute += std::abs(e) / (2 * kSamples);
      squared += e * e / (2 * kSamples);
      error += e * e;
      deviation += (targets[i] - mean) * (targets[i] - mean);
    }
    r2 += (1 - error / deviation) / 2;
  }
  const auto values = values_of(objective, {"mae", "rmse", "r2"}, predicted, targets.data(), kSamples, 9);
  EXPECT_NEAR(values.at("mae"), absolute, 1e-12);
  EXPECT_NEAR(values.at("rmse"), std::sqrt(squared), 1e-12);
  EXPECT_NEAR(values.at("r2"), r2, 1e-12);
}

TEST(Metrics, AnIgnoredLabelCountsNowhere) {
  TrainOptions options = with_metrics({"accuracy", "f1"});
  options.train.ignore_label = 255;
  const Objective objective = objective_of(TargetKind::classes, {3}, 2, options);
  const std::vector<int32_t> labels = {0, 255, 1, 1, 255, 255};
  const std::vector<float> logits = {1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1};
  const MetricTables tables = tables_of(objective, {.counts = true}, logits, labels.data(), 2, 1);
  EXPECT_EQ(tables.targets, 3);
  EXPECT_THAT(tables.support, ElementsAre(1, 2));
  EXPECT_THAT(tables.predicted, ElementsAre(2, 1));
  EXPECT_THAT(tables.right, ElementsAre(1, 1));
}

TEST(Metrics, TheAreaUnderTheCurveCountsPairsInOrderAndEqualOnesHalf) {
  EXPECT_EQ(area_under_curve({0.9f, 0.8f}, {0.1f, 0.2f}), 1);
  EXPECT_EQ(area_under_curve({0.1f}, {0.9f}), 0);
  EXPECT_EQ(area_under_curve({0.5f, 0.5f}, {0.5f}), 0.5);
  EXPECT_EQ(area_under_curve({0.4f, 0.7f}, {0.4f, 0.1f, 0.9f}), (1.5 + 2) / 6);
  EXPECT_TRUE(std::isnan(area_under_curve({}, {1})));
  EXPECT_TRUE(std::isnan(area_under_curve({std::nanf("")}, {1})));
  std::vector<float> positives = random_floats(300, 7), negatives = random_floats(200, 8);
  double pairs = 0;
  for (const float p : positives)
    for (const float n : negatives) pairs += p > n ? 1 : p == n ? 0.5 : 0;
  EXPECT_EQ(area_under_curve(positives, negatives), pairs / 300 / 200);
}

std::string error_of(const TrainOptions& options, const Objective& objective) {
  try {
    chosen_metrics(options, objective);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Metrics, ThatDoNotFitAreRefusedWithThoseThatDo) {
  const Objective classes = objective_of(TargetKind::classes, {}, 3),
                  values = objective_of(TargetKind::values, {1}, 1);
  EXPECT_EQ(error_of(with_metrics({"r2"}), classes),
            "train.metrics: r2 does not apply to targets that are classes. Metrics for them: accuracy, "
            "top_K, "
            "balanced_accuracy, precision, recall, f1, iou, auc, perplexity.");
  EXPECT_EQ(
      error_of(with_metrics({"accuracy"}), values),
      "train.metrics: accuracy does not apply to targets that are numbers. Metrics for them: mae, rmse, r2.");
  EXPECT_THAT(error_of(with_metrics({"top_3"}), classes), HasSubstr("top_3 is always 1 with 3 classes"));
  EXPECT_THAT(error_of(with_metrics({"recall_3"}), classes),
              HasSubstr("there is no class 3 for recall_3: they are 0 to 2"));
  EXPECT_THAT(error_of(with_metrics({"accuracy_1"}), classes), HasSubstr("unknown metric 'accuracy_1'"));
  TrainOptions watching;
  watching.train.early_stop = EarlyStopSpec{.metric = "validation_accuracy"};
  EXPECT_THAT(error_of(watching, values), HasSubstr("train.early_stop.metric: accuracy does not apply"));
}

TEST(Metrics, TheUsualOnesSuitTheTargetsAndTheWatchedOneIsAdded) {
  const auto names = [](const TrainOptions& options, TargetKind kind) {
    std::vector<std::string> result;
    for (const Metric& metric :
         chosen_metrics(options, objective_of(kind, kind == TargetKind::classes ? Shape{} : Shape{3}, 3)))
      result.push_back(metric.name);
    return result;
  };
  EXPECT_THAT(names({}, TargetKind::classes), ElementsAre("accuracy"));
  EXPECT_THAT(names({}, TargetKind::labels), ElementsAre("accuracy", "f1"));
  EXPECT_THAT(names({}, TargetKind::values), ElementsAre("mae", "r2"));
  TrainOptions watching = with_metrics({"accuracy"});
  watching.train.early_stop = EarlyStopSpec{.metric = "validation_f1"};
  EXPECT_THAT(names(watching, TargetKind::classes), ElementsAre("accuracy", "f1"));
  EXPECT_TRUE(higher_is_better("validation_f1"));
  EXPECT_FALSE(higher_is_better("validation_perplexity"));
  EXPECT_FALSE(higher_is_better("validation_loss"));
}

}  // namespace
}  // namespace lockstep
