#include "io/dataset/targets/label_counts.h"

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

// Ratings, years and ages are integers too, so floats are labels only if they are small, take few values, and
// each value has several samples.
constexpr double kLargestFloatLabel = 9999;
constexpr int64_t kMaxFloatClasses = 100;

bool few_labels(const LabelCounts& counts) {
  return counts.labels_up_to(kLargestFloatLabel) && counts.distinct() >= 2 &&
         counts.distinct() <= kMaxFloatClasses && counts.samples() >= 2 * counts.distinct();
}

}  // namespace

void LabelCounts::add(double value, int64_t times) {
  min_ = samples_ == 0 ? value : std::min(min_, value);
  max_ = samples_ == 0 ? value : std::max(max_, value);
  samples_ += times;
  whole_ = whole_ && std::isfinite(value) && value == std::floor(value);
  if (!whole_ || value < 0 || value >= static_cast<double>(kMaxClasses)) return;
  const auto label = static_cast<size_t>(value);
  if (counts_.size() <= label) counts_.resize(label + 1);
  if (counts_[label] == 0) ++distinct_;
  counts_[label] += times;
}

TargetKind kind_of_numbers(const LabelCounts& counts, bool integers, TargetTask task) {
  if (task == TargetTask::values) return TargetKind::values;
  if (task == TargetTask::classes || integers || few_labels(counts)) return TargetKind::classes;
  return TargetKind::values;
}

std::string task_in_words(TargetKind kind, int64_t outputs, const Shape& positions, const std::string& loss) {
  const char* plural = outputs == 1 ? "" : "s";
  const char* classes = outputs == 1 ? "" : "es";
  const auto with_loss = [&](const std::string& what, const char* usual) {
    return fmt::format("{}, {}", what, loss.empty() ? usual : loss.c_str());
  };
  switch (kind) {
    case TargetKind::classes:
      return with_loss(fmt::format("classification{}, {} class{}",
                                   positions.rank() > 0 ? " of each position " + to_string(positions) : "",
                                   outputs, classes),
                       "cross-entropy");
    case TargetKind::probabilities:
      return with_loss(fmt::format("classification, probabilities of {} class{}", outputs, classes),
                       "cross-entropy");
    case TargetKind::labels:
      return with_loss(fmt::format("several labels, {} label{} of 0 or 1", outputs, plural),
                       "binary cross-entropy");
    case TargetKind::values:
      return with_loss(fmt::format("regression, {} value{}", outputs, plural), "mean squared error");
    case TargetKind::none:
      break;
  }
  return "no targets";
}

}  // namespace lockstep
