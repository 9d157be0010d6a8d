#include "io/targets.h"

#include <cmath>
#include <cstring>

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
        fail(ExitCode::data,
             "{}: the target of class {} is {}, but a probability is not negative. For regression set the "
             "loss to mean squared error.",
             column.where(first + row), c, value);
      sum += value;
    }
    if (std::abs(sum - 1) > 1e-3)
      fail(ExitCode::data,
           "{}: its {} targets sum to {:.4g}, not to 1, so they are neither one-hot nor probabilities. For "
           "regression set the loss to mean squared error.",
           column.where(first + row), classes, sum);
  }
}

/// Whether targets (N, 1, ...) are one number a sample.
bool one_number_a_row(const Shape& row) { return row.elements() == 1; }

}  // namespace

Targets::Targets(const std::vector<std::string>& files, const std::string& name,
                 const DatasetOptions& options)
    : column_(std::make_unique<Column>(files, name)) {
  const bool scalar = one_number_a_row(column_->row_shape());
  const bool integers = column_->stored_type().kind == hdf5::ElementType::Kind::integer;
  if (scalar && !options.regression && (integers || options.classes > 0)) {
    kind_ = TargetKind::classes;
    read_labels(options);
    return;
  }
  shape_ = column_->row_shape().rank() == 0 ? Shape{1} : column_->row_shape();
  if (options.regression || scalar) {
    kind_ = TargetKind::values;
    column_->give_out(DType::f32, require_finite);
    return;
  }
  kind_ = TargetKind::probabilities;
  if (shape_.rank() != 1)
    fail(ExitCode::data,
         "{}:{} has targets of shape {} a sample; classes need one label, or one probability a class.",
         column_->file(0), name, to_string(shape_));
  classes_ = shape_[0];
  if (options.classes > 0 && classes_ != options.classes)
    fail(ExitCode::data,
         "{}:{} has targets of {} classes, but {} are expected. Set the model's number of classes to {}.",
         column_->file(0), name, classes_, options.classes, classes_);
  column_->give_out(DType::f32, require_probabilities);
}

void Targets::read_labels(const DatasetOptions& options) {
  // The widest type of each kind: a narrower one would bend a label that is out of range into one that is
  // not.
  const bool integers = column_->stored_type().kind == hdf5::ElementType::Kind::integer;
  const int64_t limit = options.classes > 0 ? options.classes : int64_t{INT32_MAX};
  const std::string range =
      options.classes > 0 ? fmt::format("0 to {} ({} classes)", limit - 1, limit) : std::string("0 or more");
  labels_.resize(static_cast<size_t>(column_->rows()));
  const auto take = [&](int64_t row, auto value) {
    const double wide = static_cast<double>(value);
    if (wide != std::floor(wide))
      fail(ExitCode::data,
           "{} has the label {}, which is not a whole number. For regression set the loss to mean squared "
           "error.",
           column_->where(row), value);
    if (!(wide >= 0 && wide < static_cast<double>(limit)))
      fail(ExitCode::data,
           "{} has the label {}; labels must be {}. Repair the labels or change the model's number of "
           "classes.",
           column_->where(row), value, range);
    labels_[static_cast<size_t>(row)] = static_cast<int32_t>(value);
    classes_ = std::max(classes_, static_cast<int64_t>(value) + 1);
  };
  if (integers) {
    column_->for_each_piece(DType::i64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const int64_t*>(rows)[i]);
    });
  } else {
    column_->for_each_piece(DType::f64, [&](const std::byte* rows, int64_t first, int64_t count) {
      for (int64_t i = 0; i < count; ++i) take(first + i, reinterpret_cast<const double*>(rows)[i]);
    });
  }
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

}  // namespace lockstep
