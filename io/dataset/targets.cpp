#include "io/dataset/targets.h"
#include "src/core/counted.h"

#include <cmath>
#include <cstring>

namespace lockstep {

namespace {

constexpr const char* kForNumbers = "For numbers to predict set data.task = \"values\".";

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
      fail(ExitCode::data,
           "{}: its {} targets sum to {:.4g}, not to 1, so they are neither one-hot nor probabilities. {}",
           column.where(first + row), classes, sum, kForNumbers);
  }
}

/// Whether targets (N, 1, ...) are one number a sample.
bool one_number_a_row(const Shape& row) { return row.elements() == 1; }

bool stores_integers(const Column& column) {
  return column.stored_type().kind == hdf5::ElementType::Kind::integer;
}

/// An integer out of a file as text. The library clips what is too large for 64 bits with a sign.
std::string label_text(const Column& column, int64_t label) {
  const hdf5::ElementType& type = column.stored_type();
  const bool clipped = label == INT64_MAX && type.bytes == 8 && !type.is_signed;
  return fmt::format("{}{}", label, clipped ? " or more" : "");
}
std::string label_text(const Column&, double label) { return fmt::format("{}", label); }

/// What to do about a label that is no class from 0 to `classes` - 1.
std::string remedy(double label, int64_t declared) {
  if (label < 0) return fmt::format("Number the classes from 0 on. {}", kForNumbers);
  if (declared > 0 && label < static_cast<double>(kMaxClasses))
    return fmt::format("Repair the label, or train with data.classes = {:.0f}.", label + 1);
  return fmt::format("Number the classes 0, 1, 2, ... without gaps. {}", kForNumbers);
}

}  // namespace

Targets::Targets(const std::vector<std::string>& files, const std::string& name,
                 const DatasetOptions& options)
    : column_(std::make_unique<Column>(files, name)) {
  const bool scalar = one_number_a_row(column_->row_shape());
  const bool integers = stores_integers(*column_);
  // Who says how many classes there are says that there are classes.
  const TargetTask task =
      options.task == TargetTask::automatic && options.classes > 0 ? TargetTask::classes : options.task;
  if (scalar) {
    // Only floats have to be looked at before it is clear what they are.
    if (!integers && task == TargetTask::automatic) count();
    kind_ = kind_of_numbers(counts_, integers, task);
    if (kind_ == TargetKind::classes) {
      read_labels(options.classes);
      return;
    }
  }
  shape_ = column_->row_shape().rank() == 0 ? Shape{1} : column_->row_shape();
  if (task == TargetTask::values || scalar) {
    kind_ = TargetKind::values;
    column_->give_out(DType::f32, require_finite);
    return;
  }
  kind_ = TargetKind::probabilities;
  if (shape_.rank() != 1)
    fail(ExitCode::data,
         "{}:{} has targets of shape {} a sample; classes need one label, or one probability a class. {}",
         column_->file(0), name, to_string(shape_), kForNumbers);
  classes_ = shape_[0];
  if (options.classes > 0 && classes_ != options.classes)
    fail(ExitCode::data,
         "{}:{} has targets of {}, but {} are expected (by data.classes or the training data).",
         column_->file(0), name, counted(classes_, "class", "classes"), options.classes);
  column_->give_out(DType::f32, require_probabilities);
}

void Targets::count() {
  column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t, int64_t count) {
    for (int64_t i = 0; i < count; ++i) counts_.add(reinterpret_cast<const double*>(rows)[i]);
  });
}

void Targets::read_labels(int64_t declared) {
  // The widest type of each kind: a narrower one would bend a label that is out of range into one that is
  // not.
  const int64_t limit = declared > 0 ? declared : kMaxClasses;
  counts_ = {};
  labels_.resize(static_cast<size_t>(column_->rows()));
  const auto take = [&](int64_t row, auto value) {
    const double wide = static_cast<double>(value);
    if (wide != std::floor(wide))
      fail(ExitCode::data, "{} has the label {}, which is not a whole number. {}", column_->where(row), value,
           kForNumbers);
    if (!(wide >= 0 && wide < static_cast<double>(limit)))
      fail(ExitCode::data, "{} has the label {}; labels must be 0 to {}{}. {}", column_->where(row),
           label_text(*column_, value), limit - 1,
           declared > 0 ? fmt::format(" ({})", counted(declared, "class", "classes")) : "",
           remedy(wide, declared));
    labels_[static_cast<size_t>(row)] = static_cast<int32_t>(value);
    counts_.add(wide);
  };
  if (stores_integers(*column_)) {
    column_->for_each_piece(DType::i64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const int64_t*>(rows)[i]);
    });
  } else {
    column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const double*>(rows)[i]);
    });
  }
  classes_ = declared > 0 ? declared : static_cast<int64_t>(counts_.counts().size());
}

void Targets::load() {
  if (kind_ != TargetKind::classes) column_->load();
}

void Targets::stream(int64_t cache_bytes) {
  if (kind_ != TargetKind::classes) column_->stream(cache_bytes);
}

void Targets::read(std::span<const int64_t> indices, std::byte* out) const {
  if (kind_ != TargetKind::classes) return column_->read(indices, out);
  for (size_t i = 0; i < indices.size(); ++i)
    std::memcpy(out + i * sizeof(int32_t), &labels_[static_cast<size_t>(indices[i])], sizeof(int32_t));
}

/// What to do when y has another number of rows than x, in one file.
static std::string remedy_of_lengths(const Column& x, const Column& y, size_t file) {
  const int64_t samples = x.rows_in_file(file), targets = y.rows_in_file(file);
  const Shape &sample = x.row_shape(), &target = y.row_shape();
  const bool y_lies_down = targets == 1 && target.rank() == 1;
  if (y_lies_down && target[0] == samples)
    return fmt::format("Its shape is (1, {0}): store the targets as ({0}).", samples);
  const int64_t wanted = y_lies_down ? target[0] : targets;
  if (sample.rank() > 0 && sample[-1] == wanted)
    return fmt::format(
        "The last axis of {} has {}: if it counts the samples, as in files of MATLAB, reverse the "
        "order of the axes, so that it comes first.",
        x.name(), wanted);
  if (sample.rank() == 0 && x.name().ends_with("/data"))
    return "If these are the values of a sparse matrix (data, indices and indptr, as AnnData stores it), "
           "store it "
           "dense, as (samples, values).";
  return "Each sample needs its target.";
}

void require_equal_lengths(const Column& x, const Column& y) {
  for (size_t i = 0; i < x.files(); ++i)
    if (x.rows_in_file(i) != y.rows_in_file(i))
      fail(ExitCode::data, "{}: {} has {}, but {} has {}. {}", x.file(i), x.name(),
           counted(x.rows_in_file(i), "sample"), y.name(), y.rows_in_file(i), remedy_of_lengths(x, y, i));
}

}  // namespace lockstep
