#include "io/dataset/targets/target_look.h"

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

constexpr int64_t kLookBytes = int64_t{64} << 20;
/// A smaller fraction of wrong rows counts as mistakes, which are reported when they are read.
constexpr double kMaxWrongRows = 0.1;

/// Properties of the first rows.
struct Look {
  int64_t rows = 0, distributions = 0;  ///< rows without negative values that sum to 1
  bool is_zero_or_one = true;
  LabelCounts labels;

  bool is_mostly_distributions() const {
    return static_cast<double>(rows - distributions) <= kMaxWrongRows * static_cast<double>(rows);
  }
};

Look look_at(const Column& targets, const std::optional<int64_t>& ignored) {
  Look look;
  const int64_t width = targets.row_shape().elements();
  const int64_t max_rows = std::max<int64_t>(1, kLookBytes / (width * int64_t{sizeof(double)}));
  targets.for_each_piece(
      DType::f64,
      [&](const std::byte* piece, int64_t, int64_t count) {
        const auto* value = reinterpret_cast<const double*>(piece);
        for (int64_t row = 0; row < count; ++row) {
          double sum = 0;
          bool is_negative = false;
          for (int64_t i = 0; i < width; ++i, ++value) {
            sum += *value;
            is_negative = is_negative || *value < 0;
            look.is_zero_or_one = look.is_zero_or_one && (*value == 0 || *value == 1);
            if (!ignored || *value != static_cast<double>(*ignored)) look.labels.add(*value);
          }
          ++look.rows;
          look.distributions += !is_negative && std::abs(sum - 1) <= 1e-3;
        }
      },
      max_rows);
  return look;
}

}  // namespace

TargetKind kind_of_rows(const Column& targets, const Column* samples, const DatasetOptions& options,
                        TargetTask task) {
  if (task == TargetTask::values) return TargetKind::values;
  if (task == TargetTask::labels) return TargetKind::labels;
  const bool integers = targets.stores_integers(), is_vector = targets.row_shape().rank() == 1;
  if (!is_vector && (integers || task == TargetTask::classes)) return TargetKind::classes;
  const Look look = look_at(targets, options.ignored_label);
  if (!is_vector) return kind_of_numbers(look.labels, integers, task);

  const bool looks_whole = integers || kind_of_numbers(look.labels, false, task) == TargetKind::classes;
  const bool may_be_positions = samples == nullptr || (samples->row_shape().rank() > 1 &&
                                                       samples->row_shape()[0] == targets.row_shape()[0]);
  if (look.is_mostly_distributions()) return TargetKind::probabilities;
  // Zeros and ones without positions are meant as one-hot rows; reading reports rows that are not.
  if (task == TargetTask::classes)
    return looks_whole && look.labels.whole() && (!look.is_zero_or_one || may_be_positions)
               ? TargetKind::classes
               : TargetKind::probabilities;
  if (look.is_zero_or_one) return TargetKind::labels;
  if (looks_whole && may_be_positions && look.labels.min() >= 0) return TargetKind::classes;
  if (!integers) return TargetKind::values;
  fail(ExitCode::data,
       "{}:{} has {} integers per sample, which are neither one-hot, nor labels of 0 and 1, nor a class at "
       "each position along the samples' first axis. {} For a class at each position set data.task = "
       "\"classes\".",
       targets.file(0), targets.name(), targets.row_shape()[0], kForNumbers);
}

}  // namespace lockstep
