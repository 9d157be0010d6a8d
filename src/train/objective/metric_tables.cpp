#include "src/train/objective/metric_tables.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/train/objective/area_under_curve.h"

namespace lockstep {

namespace {

/// Limits the probabilities of an evaluation to 1 GiB.
constexpr int64_t kMaxScores = int64_t{1} << 28;

/// Index of the largest value; of equal values the first, as in the loss.
int64_t first_largest(const float* values, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

/// Rank of a class by its logit, from 0; classes with equal logits are ordered by number. `classes` if its
/// logit is NaN.
int64_t place_of(int64_t label, const float* logits, int64_t classes) {
  if (std::isnan(logits[label])) return classes;
  int64_t before = 0;
  for (int64_t c = 0; c < classes; ++c)
    before += logits[c] > logits[label] || (logits[c] == logits[label] && c < label);
  return before;
}

/// The maximum of the logits, and log(sum of exp(logit - maximum)).
struct LogSum {
  double maximum, log_sum;
};
LogSum log_sum_of(const float* logits, int64_t classes) {
  const double maximum = logits[first_largest(logits, classes)];
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - maximum);
  return {maximum, std::log(sum)};
}

/// Appends softmax(logits), computed in float like the probabilities that predict writes.
void append_softmax(std::vector<float>& to, const float* logits, int64_t classes) {
  const float maximum = logits[first_largest(logits, classes)];
  float sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - maximum);
  for (int64_t c = 0; c < classes; ++c) to.push_back(std::exp(logits[c] - maximum) / sum);
}

/// Replaces terms beyond the range of ExactSum, which ends at 2^262, by infinity.
double limited(double term) { return term < 0x1p261 ? term : std::isnan(term) ? term : HUGE_VAL; }

}  // namespace

MetricTables::MetricTables(const Objective& objective, const MetricNeeds& needs, int64_t samples)
    : needs_(needs),
      kind_(objective.kind()),
      outputs_(objective.outputs()),
      positions_(objective.positions()),
      samples_(samples),
      ignored_label_(objective.ignored_label()) {
  if (needs.scores && samples * positions_ > kMaxScores / outputs_)
    fail(ExitCode::usage,
         "train.metrics: auc keeps every probability, and {} targets of {} classes exceed the limit of {}. "
         "Remove auc.",
         samples * positions_, outputs_, kMaxScores);
  const bool is_regression = kind_ == TargetKind::values;
  if (!is_regression && (needs.counts || needs.confusion))
    for (auto* counts : {&support, &predicted, &right}) counts->resize(static_cast<size_t>(outputs_));
  if (needs.confusion) confusion.resize(static_cast<size_t>(outputs_ * outputs_));
  top_right.resize(needs.top.size());
  // Each element of a vector is a column; all elements of an image form one column.
  if (is_regression && needs.errors)
    columns_.resize(objective.target_shape().rank() == 1 ? static_cast<size_t>(outputs_) : 1);
  reference_.resize(columns_.size());
}

void MetricTables::set_reference(const std::byte* targets_of_first) {
  const auto* values = reinterpret_cast<const float*>(targets_of_first);
  std::copy_n(values, reference_.size(), reference_.begin());
}

void MetricTables::add(const float* outputs, const std::byte* targets_as_read, int64_t first, int64_t count) {
  const auto* numbers = reinterpret_cast<const float*>(targets_as_read);
  if (kind_ == TargetKind::values) return add_numbers(outputs, numbers, count);
  if (kind_ == TargetKind::labels) return add_labels(outputs, numbers, first, count);
  add_classes(outputs, targets_as_read, first, count);
}

void MetricTables::add_log_likelihood(const float* logits, int64_t label, const float* probabilities) {
  const LogSum sum = log_sum_of(logits, outputs_);
  const auto log_p = [&](int64_t c) { return logits[c] - sum.maximum - sum.log_sum; };
  double loss = 0;
  if (probabilities == nullptr) {
    loss = -log_p(label);
  } else {
    for (int64_t c = 0; c < outputs_; ++c)
      if (probabilities[c] != 0) loss -= probabilities[c] * log_p(c);
  }
  // Rounding may make the loss slightly negative. max() with these operands preserves NaN.
  log_likelihood_.add(limited(std::max(loss, 0.0)));
}

void MetricTables::add_classes(const float* outputs, const std::byte* targets_as_read, int64_t first,
                               int64_t count) {
  const auto* given = reinterpret_cast<const int32_t*>(targets_as_read);
  const auto* soft = reinterpret_cast<const float*>(targets_as_read);
  const bool is_soft = kind_ == TargetKind::probabilities;
  for (int64_t row = 0; row < count * positions_; ++row) {
    const float* logits = outputs + row * outputs_;
    const float* probabilities = is_soft ? soft + row * outputs_ : nullptr;
    const int64_t label = is_soft ? first_largest(probabilities, outputs_) : given[row];
    if (!is_soft && label == ignored_label_) continue;
    ++targets;
    if (!support.empty()) {
      const int64_t answer = first_largest(logits, outputs_);
      ++support[static_cast<size_t>(label)];
      ++predicted[static_cast<size_t>(answer)];
      if (answer == label) ++right[static_cast<size_t>(label)];
      all_right += answer == label;
      if (needs_.confusion) ++confusion[static_cast<size_t>(label * outputs_ + answer)];
    }
    if (!needs_.top.empty()) {
      const int64_t place = place_of(label, logits, outputs_);
      for (size_t i = 0; i < needs_.top.size(); ++i) top_right[i] += place < needs_.top[i];
    }
    if (needs_.likelihood) add_log_likelihood(logits, label, probabilities);
    if (!needs_.scores) continue;
    rows_.push_back(first * positions_ + row);
    labels_.push_back(static_cast<int32_t>(label));
    append_softmax(scores_, logits, outputs_);
  }
}

void MetricTables::add_labels(const float* outputs, const float* targets_as_read, int64_t first,
                              int64_t count) {
  targets += count * outputs_;
  for (int64_t row = 0; row < count; ++row) {
    if (needs_.scores) rows_.push_back(first + row);
    for (int64_t label = 0; label < outputs_; ++label) {
      const auto at = static_cast<size_t>(label);
      const float logit = outputs[row * outputs_ + label];
      const bool is_set = targets_as_read[row * outputs_ + label] > 0.5f, answer = logit > 0;
      if (!support.empty()) {
        support[at] += is_set;
        predicted[at] += answer;
        right[at] += is_set && answer;
        all_right += is_set == answer;
      }
      if (!needs_.scores) continue;
      scores_.push_back(1 / (1 + std::exp(-logit)));
      labels_.push_back(is_set ? 1 : 0);
    }
  }
}

void MetricTables::add_numbers(const float* outputs, const float* targets_as_read, int64_t count) {
  targets += count * outputs_;
  const auto width = static_cast<int64_t>(columns_.size());
  for (int64_t row = 0; row < count; ++row) {
    // A sample is never divided between lanes, so the sums within it always have the same order.
    double absolute = 0, squared = 0;
    for (int64_t i = 0; i < outputs_; ++i) {
      const double error = double{outputs[row * outputs_ + i]} - targets_as_read[row * outputs_ + i];
      absolute += std::abs(error);
      squared += error * error;
      if (width <= 1) continue;
      columns_[static_cast<size_t>(i)].errors.add(limited(error * error));
    }
    absolute_.add(limited(absolute));
    squared_.add(limited(squared));
    if (width == 1) columns_[0].errors.add(limited(squared));
    for (int64_t i = 0; i < outputs_; ++i) {
      const auto column = static_cast<size_t>(width > 1 ? i : 0);
      const double deviation = double{targets_as_read[row * outputs_ + i]} - reference_[column];
      columns_[column].squares.add(limited(deviation * deviation));
      columns_[column].deviations.add(deviation);
    }
  }
}

std::vector<MetricTables::Column> MetricTables::columns() const {
  std::vector<Column> result;
  const double count = static_cast<double>(targets) / static_cast<double>(columns_.size());
  for (const ColumnSums& sums : columns_) {
    const double sum = sums.deviations.value();
    result.push_back({sums.errors.value(), std::max(0.0, sums.squares.value() - sum * sum / count)});
  }
  return result;
}

template <typename Visit>
void MetricTables::for_each_count(Visit visit) {
  visit(std::span(&targets, 1));
  visit(std::span(&all_right, 1));
  for (auto* counts : {&support, &predicted, &right, &confusion, &top_right}) visit(std::span(*counts));
}

template <typename Visit>
void MetricTables::for_each_sum(Visit visit) {
  for (ExactSum* sum : {&log_likelihood_, &absolute_, &squared_}) visit(*sum);
  for (ColumnSums& column : columns_)
    for (ExactSum* sum :
         {&column.errors, &column.squares, &column.deviations.positive, &column.deviations.negative})
      visit(*sum);
}

void MetricTables::add(const MetricTables& other) {
  MetricTables copy = other;
  std::vector<std::span<int64_t>> counts;
  copy.for_each_count([&](std::span<int64_t> values) { counts.push_back(values); });
  size_t next = 0;
  for_each_count([&](std::span<int64_t> values) {
    const std::span<int64_t> theirs = counts[next++];
    for (size_t i = 0; i < values.size(); ++i) values[i] += theirs[i];
  });
  std::vector<ExactSum*> sums;
  copy.for_each_sum([&](ExactSum& sum) { sums.push_back(&sum); });
  next = 0;
  for_each_sum([&](ExactSum& sum) { sum.add(*sums[next++]); });
  rows_.insert(rows_.end(), copy.rows_.begin(), copy.rows_.end());
  scores_.insert(scores_.end(), copy.scores_.begin(), copy.scores_.end());
  labels_.insert(labels_.end(), copy.labels_.begin(), copy.labels_.end());
}

void MetricTables::join(const AllReduce& all_reduce) {
  // Sent as doubles, which hold integers up to 2^53; the 64-bit words of exact sums are sent in halves.
  std::vector<double> values;
  for_each_count(
      [&](std::span<int64_t> counts) { values.insert(values.end(), counts.begin(), counts.end()); });
  for_each_sum([&](ExactSum& sum) {
    for (const uint64_t word : sum.words) {
      values.push_back(static_cast<double>(word & 0xffffffffu));
      values.push_back(static_cast<double>(word >> 32));
    }
  });
  all_reduce(values);
  auto next = values.begin();
  for_each_count([&](std::span<int64_t> counts) {
    for (int64_t& count : counts) count = static_cast<int64_t>(*next++);
  });
  for_each_sum([&](ExactSum& sum) {
    for (uint64_t& word : sum.words) {
      const auto low = static_cast<uint64_t>(*next++);
      word = low + (static_cast<uint64_t>(*next++) << 32);
    }
  });
  if (needs_.scores) make_areas(all_reduce);
}

void MetricTables::make_areas(const AllReduce& all_reduce) {
  const auto all = static_cast<size_t>(samples_ * positions_);
  const bool has_labels = kind_ == TargetKind::labels;
  // Each row belongs to one rank, so summing over the ranks gathers the rows. Labels are shifted by 1; 0
  // marks ignored rows.
  std::vector<double> labels(all), scores(all);
  const auto bring_labels = [&](size_t column, size_t width) {
    std::ranges::fill(labels, 0);
    for (size_t i = 0; i < rows_.size(); ++i)
      labels[static_cast<size_t>(rows_[i])] = labels_[i * width + column] + 1;
    all_reduce(labels);
  };
  const auto width = static_cast<size_t>(outputs_);
  if (!has_labels) bring_labels(0, 1);
  areas.clear();
  for (size_t c = 0; c < width; ++c) {
    if (has_labels) bring_labels(c, width);
    std::ranges::fill(scores, 0);
    for (size_t i = 0; i < rows_.size(); ++i) scores[static_cast<size_t>(rows_[i])] = scores_[i * width + c];
    all_reduce(scores);
    const double positive = has_labels ? 2 : static_cast<double>(c) + 1;
    std::vector<float> positives, negatives;
    for (size_t row = 0; row < all; ++row)
      if (labels[row] != 0)
        (labels[row] == positive ? positives : negatives).push_back(static_cast<float>(scores[row]));
    areas.push_back(area_under_curve(std::move(positives), std::move(negatives)));
  }
}

}  // namespace lockstep
