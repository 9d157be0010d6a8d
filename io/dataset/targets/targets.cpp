#include "io/dataset/targets/targets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "io/dataset/source_files.h"
#include "io/dataset/targets/target_look.h"
#include "io/dataset/targets/target_names.h"
#include "src/core/counted.h"

namespace lockstep {

namespace {

/// A Column::Check: rows are probabilities of classes.
void require_probabilities(const Column& column, const std::byte* rows, int64_t first, int64_t count) {
  require_finite(column, rows, first, count);
  const int64_t classes = column.row_shape().elements();
  const float* values = reinterpret_cast<const float*>(rows);
  for (int64_t row = 0; row < count; ++row) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const float value = values[row * classes + c];
      if (value < 0)
        fail(ExitCode::data, "{}: the target of class {} is {}, but a probability is not negative. {}",
             column.where(first + row), c, value, kForNumbers);
      sum += value;
    }
    if (std::abs(sum - 1) > 1e-3)
      fail(
          ExitCode::data,
          "{}: its {} targets sum to {:.4g}, not to 1, so they are neither one-hot nor probabilities. {} For "
          "several labels of 0 and 1 set data.task = \"labels\".",
          column.where(first + row), classes, sum, kForNumbers);
  }
}

/// A Column::Check: rows are labels of 0 and 1.
void require_labels(const Column& column, const std::byte* rows, int64_t first, int64_t count) {
  const int64_t width = column.row_shape().elements();
  const float* values = reinterpret_cast<const float*>(rows);
  for (int64_t i = 0; i < count * width; ++i)
    if (values[i] != 0 && values[i] != 1)
      fail(ExitCode::data, "{} has the label {} at place {}; labels are 0 or 1. {}",
           column.where(first + i / width), values[i], i % width, kForNumbers);
}

/// An integer from a file as text. libhdf5 clips values above the range of int64.
std::string label_text(const Column& column, int64_t label) {
  const hdf5::ElementType& type = column.stored_type();
  const bool clipped = label == INT64_MAX && type.bytes == 8 && !type.is_signed;
  return fmt::format("{}{}", label, clipped ? " or more" : "");
}
std::string label_text(const Column&, double label) { return fmt::format("{}", label); }

/// The remedy for a label outside the range of the classes.
std::string remedy(double label, int64_t first_label, int64_t declared) {
  const auto first = static_cast<double>(first_label);
  if (first_label > 0 && label == 0)
    return "The labels of the training data begin with 1: number these alike.";
  if (label < first) return fmt::format("Number the classes from 0 on. {}", kForNumbers);
  if (declared > 0 && label < static_cast<double>(kMaxClasses))
    return fmt::format("Repair the label, or train with data.classes = {:.0f}.", label + 1 - first);
  return fmt::format("Number the classes 0, 1, 2, ... without gaps. {}", kForNumbers);
}

}  // namespace

Targets::Targets(std::unique_ptr<Column> column, const DatasetOptions& options, const Column* samples)
    : column_(std::move(column)),
      are_tokens_(options.task == TargetTask::tokens),
      declared_(options.classes),
      first_label_(options.understood ? options.understood->first_label : 0),
      may_begin_with_1_(!options.understood && !options.kind && !are_tokens_),
      ignored_(options.ignored_label) {
  const Shape& row = column_->row_shape();
  if (column_->is_padded() && !ignored_)
    fail(ExitCode::data,
         "{}:{} holds sequences of different lengths. Where targets are padded they have no class: set "
         "train.ignore_label to a number that is none, such as -1.",
         column_->file(0), column_->name());
  kind_ = column_->names().are_stored ? TargetKind::classes : find_kind(options, samples);
  if (kind_ == TargetKind::classes) class_names_ = column_->names().names;
  if (!class_names_.empty()) {
    declared_ = static_cast<int64_t>(class_names_.size());
    may_begin_with_1_ = false;
  }
  if (column_->is_padded() && kind_ != TargetKind::classes)
    fail(ExitCode::data,
         "{}:{} holds sequences of different lengths, which can only be classes of positions (data.task = "
         "\"classes\"). Store numbers to predict as (N, ...).",
         column_->file(0), column_->name());
  // (N, 1) holds one number per sample, like (N).
  shape_ = row.rank() == 0 ? Shape{1} : row;
  if (kind_ == TargetKind::classes && row.elements() == 1) {
    shape_ = {};
    read_labels();
  } else if (kind_ == TargetKind::classes) {
    open_classes_at_positions(/*count_all=*/!options.kind);
  } else if (kind_ == TargetKind::probabilities) {
    open_probabilities(options.classes);
  } else {
    column_->give_out(DType::f32, kind_ == TargetKind::labels ? require_labels : require_finite);
  }
}

TargetKind Targets::find_kind(const DatasetOptions& options, const Column* samples) {
  if (options.kind) return *options.kind;
  if (options.task == TargetTask::tokens) return TargetKind::classes;
  // Giving a number of classes implies that the targets are classes.
  const TargetTask task =
      options.task == TargetTask::automatic && options.classes > 0 ? TargetTask::classes : options.task;
  if (column_->row_shape().elements() > 1) return kind_of_rows(*column_, samples, options, task);
  if (task == TargetTask::labels) return TargetKind::labels;
  const bool integers = column_->stores_integers();
  // The kind of integers is clear without reading them; that of floats depends on their values.
  if (!integers && task == TargetTask::automatic) count();
  return kind_of_numbers(counts_, integers, task);
}

void Targets::count() {
  column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t, int64_t count) {
    const auto* values = reinterpret_cast<const double*>(rows);
    for (int64_t i = 0; i < count; ++i)
      if (!is_ignored(values[i])) counts_.add(values[i]);
  });
}

int64_t Targets::label_end() const { return first_label_ + (declared_ > 0 ? declared_ : kMaxClasses); }

bool Targets::is_class(double label) const {
  return label >= static_cast<double>(first_label_) &&
         label < static_cast<double>(label_end() + (may_begin_with_1_ ? 1 : 0));
}

void Targets::choose_first_label() {
  if (!may_begin_with_1_) return;
  may_begin_with_1_ = false;
  const auto last = static_cast<int64_t>(counts_.counts().size()) - 1;
  const bool are_all_but_0 = last >= 2 && counts_.min() == 1 && counts_.distinct() == last;
  // An ignored label among the classes would be taken for the one that is moved to its place.
  const bool is_ignored_apart = !ignored_ || *ignored_ < 0 || *ignored_ > last;
  if (!are_all_but_0 || !is_ignored_apart || (declared_ > 0 && declared_ != last)) return;
  first_label_ = 1;
  begins_with_1_ = true;
  LabelCounts classes;
  for (int64_t label = 1; label <= last; ++label)
    classes.add(static_cast<double>(label - 1), counts_.counts()[static_cast<size_t>(label)]);
  counts_ = classes;
}

std::string Targets::note() const {
  if (!begins_with_1_) return "";
  return fmt::format(
      "the labels of {}:{} run from 1 to {}, so that label 1 is class 0, and so on; if there is a class 0 "
      "without samples, set data.classes = {}",
      column_->file(0), column_->name(), classes_, classes_ + 1);
}

void Targets::fail_no_class(int64_t row, double label, const std::string& text) const {
  if (label != std::floor(label))
    fail(ExitCode::data, "{} has the label {}, which is not a whole number. {}", column_->where(row), text,
         kForNumbers);
  const int64_t limit = label_end();
  if (are_tokens_)
    fail(ExitCode::data, "{} has the token id {}, outside the vocabulary: ids must be 0 to {}. {}",
         column_->where(row), text, limit - 1,
         label > 0 && declared_ > 0 && label < static_cast<double>(kMaxClasses)
             ? fmt::format("Repair it, or train with data.classes = {:.0f}.", label + 1)
             : "Number the tokens 0, 1, 2, ... without gaps.");
  fail(ExitCode::data, "{} has the label {}; labels must be {} to {}{}. {}", column_->where(row), text,
       first_label_, limit - 1,
       declared_ > 0 ? fmt::format(" ({})", counted(declared_, "class", "classes")) : "",
       remedy(label, first_label_, declared_));
}

void Targets::read_labels() {
  // Reads the widest type of each kind: converting to a narrower one could bring a label that is out of range
  // into it.
  counts_ = {};
  labels_.resize(static_cast<size_t>(column_->rows()));
  const auto take = [&](int64_t row, auto value) {
    const double wide = static_cast<double>(value);
    labels_[static_cast<size_t>(row)] = static_cast<int32_t>(value);
    if (is_ignored(wide)) return;
    if (wide != std::floor(wide) || !is_class(wide)) fail_no_class(row, wide, label_text(*column_, value));
    counts_.add(wide - static_cast<double>(first_label_));
  };
  if (column_->stores_integers()) {
    column_->for_each_piece(DType::i64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const int64_t*>(rows)[i]);
    });
  } else {
    column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const double*>(rows)[i]);
    });
  }
  choose_first_label();
  for (size_t row = 0; row < labels_.size(); ++row) {
    if (is_ignored(labels_[row])) continue;
    if (!is_class(labels_[row]))
      fail_no_class(static_cast<int64_t>(row), labels_[row], fmt::format("{}", labels_[row]));
    labels_[row] -= static_cast<int32_t>(first_label_);
  }
  classes_ = declared_ > 0 ? declared_ : static_cast<int64_t>(counts_.counts().size());
}

template <typename T>
void Targets::require_classes(const T* labels, int64_t first, int64_t count) const {
  const int64_t width = shape_.elements();
  for (int64_t i = 0; i < count * width; ++i) {
    const auto label = static_cast<double>(labels[i]);
    if (is_ignored(label) || (is_class(label) && label == std::floor(label))) continue;
    fail_no_class(first + i / width, label, fmt::format("{}", labels[i]));
  }
}

void Targets::open_classes_at_positions(bool count_all) {
  // Bytes stay bytes in memory, if what fills up short sequences is one, too; read() widens them.
  const bool are_bytes = column_->natural_dtype() == DType::u8 &&
                         (!column_->is_padded() || (*ignored_ >= 0 && *ignored_ <= UINT8_MAX));
  const DType kept = are_bytes ? DType::u8 : column_->stores_integers() ? DType::i32 : DType::f32;
  column_->give_out(kept, [this](const Column& column, const std::byte* rows, int64_t first, int64_t count) {
    if (column.dtype() == DType::u8)
      require_classes(reinterpret_cast<const uint8_t*>(rows), first, count);
    else if (column.dtype() == DType::i32)
      require_classes(reinterpret_cast<const int32_t*>(rows), first, count);
    else
      require_classes(reinterpret_cast<const float*>(rows), first, count);
  });
  if (count_all) {
    count_classes_at_positions();
    choose_first_label();
    // Again, for a label that was allowed until now.
    if (declared_ > 0 && static_cast<int64_t>(counts_.counts().size()) > declared_)
      count_classes_at_positions();
  }
  may_begin_with_1_ = false;
  classes_ = declared_ > 0 ? declared_ : static_cast<int64_t>(counts_.counts().size());
}

void Targets::count_classes_at_positions() {
  counts_ = {};
  const int64_t width = shape_.elements();
  if (column_->dtype() == DType::u8) {
    std::array<int64_t, 256> occurrences{};
    column_->for_each_piece(DType::u8, [&](const std::byte* rows, int64_t first, int64_t count) {
      const auto* labels = reinterpret_cast<const uint8_t*>(rows);
      require_classes(labels, first, count);
      for (int64_t i = 0; i < count * width; ++i) ++occurrences[labels[i]];
    });
    for (size_t label = 0; label < occurrences.size(); ++label)
      if (occurrences[label] > 0 && !is_ignored(static_cast<double>(label)))
        counts_.add(static_cast<double>(label) - static_cast<double>(first_label_), occurrences[label]);
    return;
  }
  column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t first, int64_t count) {
    const auto* labels = reinterpret_cast<const double*>(rows);
    require_classes(labels, first, count);
    for (int64_t i = 0; i < count * width; ++i)
      if (!is_ignored(labels[i])) counts_.add(labels[i] - static_cast<double>(first_label_));
  });
}

void Targets::open_probabilities(int64_t declared) {
  if (shape_.rank() != 1)
    fail(ExitCode::data,
         "{}:{} has targets of shape {} a sample; classes need one label, or one probability a class. {}",
         column_->file(0), column_->name(), to_string(shape_), kForNumbers);
  classes_ = shape_[0];
  if (declared > 0 && classes_ != declared)
    fail(ExitCode::data,
         "{}:{} has targets of {}, but {} are expected (by data.classes or the training data).",
         column_->file(0), column_->name(), counted(classes_, "class", "classes"), declared);
  column_->give_out(DType::f32, require_probabilities);
}

int64_t Targets::label(int64_t index) const {
  if (!is_one_class()) return -1;
  const int32_t label = labels_[static_cast<size_t>(index)];
  return is_ignored(label) ? -1 : label;
}

std::vector<int64_t> Targets::class_targets() const {
  if (kind_ != TargetKind::classes || counts_.samples() == 0) return {};
  std::vector<int64_t> counts = counts_.counts();
  counts.resize(static_cast<size_t>(classes_));
  return counts;
}

void Targets::load(const MachineMemory* machine) {
  if (!is_one_class()) column_->load(machine);
}

void Targets::stream(int64_t cache_bytes, const MachineMemory* machine, int readers) {
  if (!is_one_class()) column_->stream(cache_bytes, machine, readers);
}

void Targets::read(std::span<const int64_t> indices, std::byte* out) const {
  if (is_one_class()) {
    for (size_t i = 0; i < indices.size(); ++i)
      std::memcpy(out + i * sizeof(int32_t), &labels_[static_cast<size_t>(indices[i])], sizeof(int32_t));
    return;
  }
  if (kind_ != TargetKind::classes) return column_->read(indices, out);
  const size_t count = indices.size() * static_cast<size_t>(shape_.elements());
  auto* labels = reinterpret_cast<int32_t*>(out);
  read_labels_at_positions(indices, labels, count);
  if (first_label_ == 0) return;
  for (size_t i = 0; i < count; ++i)
    if (!is_ignored(labels[i])) labels[i] -= static_cast<int32_t>(first_label_);
}

void Targets::read_labels_at_positions(std::span<const int64_t> indices, int32_t* labels,
                                       size_t count) const {
  if (column_->dtype() == DType::i32) return column_->read(indices, reinterpret_cast<std::byte*>(labels));
  std::vector<std::byte> rows(indices.size() * column_->row_bytes());
  column_->read(indices, rows.data());
  if (column_->dtype() == DType::u8)
    std::copy_n(reinterpret_cast<const uint8_t*>(rows.data()), count, labels);
  else
    std::transform(reinterpret_cast<const float*>(rows.data()),
                   reinterpret_cast<const float*>(rows.data()) + count, labels,
                   [](float label) { return static_cast<int32_t>(label); });
}

/// The remedy when x and y have different numbers of rows in a file.
static std::string remedy_of_lengths(const Column& x) {
  if (x.row_shape().rank() == 0 && x.name().ends_with("/data"))
    return fmt::format(
        "If these are the values of a sparse matrix (data, indices and indptr, as AnnData stores it), "
        "name its group: x = \"{}\".",
        x.name().substr(0, x.name().size() - 5));
  return "Each sample needs its target. If another axis of x than the first counts the samples, set sample_axis "
         "of the source (for data named on the command line: --sample-axis, or --set "
         "data.train.sample_axis=AXIS).";
}

/// Of data sets that hold a sample each, the first without the other.
static void require_same_keys(const Column& x, const Column& y, size_t file) {
  const std::vector<std::string>&samples = x.keys_in_file(file), &targets = y.keys_in_file(file);
  if (samples.empty() || targets.empty()) return;
  const auto [sample, target] = std::ranges::mismatch(samples, targets);
  if (sample == samples.end() && target == targets.end()) return;
  // In natural order, whichever comes first is missing on the other side.
  const bool lacks_target =
      target == targets.end() || (sample != samples.end() && is_naturally_before(*sample, *target));
  fail(ExitCode::data,
       "{}: there is a data set for '{}' of {}, but none of {}. Each sample needs its target.", x.file(file),
       printable(lacks_target ? *sample : *target), lacks_target ? x.name() : y.name(),
       lacks_target ? y.name() : x.name());
}

void require_equal_lengths(const Column& x, const Column& y) {
  INVARIANT(x.files() == y.files() || x.rows() != y.rows(), "{} and {}", x.name(), y.name());
  for (size_t i = 0; i < std::min(x.files(), y.files()); ++i) require_same_keys(x, y, i);
  for (size_t i = 0; i < std::min(x.files(), y.files()); ++i)
    if (x.rows_in_file(i) != y.rows_in_file(i))
      fail(ExitCode::data, "{}: {} has {}, but {} has {}. {}", x.file(i), x.name(),
           counted(x.rows_in_file(i), "sample"), y.name(), y.rows_in_file(i), remedy_of_lengths(x));
}

}  // namespace lockstep
