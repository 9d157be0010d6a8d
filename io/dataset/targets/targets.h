#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"
#include "io/dataset/targets/label_counts.h"

namespace lockstep {

/// The targets of a data set: determines their kind, checks them, and delivers them as documented in Dataset.
///
/// The kind of a stored data set, unless options.kind gives it:
///   options.task = values or labels   -> values or labels
///   names of classes, such as text    -> classes, numbered in the order of their names (find_target_names())
///   (N) or (N, 1)                     -> classes if options.classes is set, else kind_of_numbers()
///   more numbers per sample           -> kind_of_rows()
class Targets {
 public:
  /// Determines the kind of the targets in a column. Reads and checks all labels if they are classes; those
  /// at positions only if options.kind is not set. samples: the inputs of these targets; null: unknown.
  /// Throws Error(data).
  Targets(std::unique_ptr<Column> column, const DatasetOptions& options, const Column* samples = nullptr);
  // Not copyable: the column's check refers to this object.
  Targets(const Targets&) = delete;
  Targets& operator=(const Targets&) = delete;

  const Column& column() const { return *column_; }
  TargetKind kind() const { return kind_; }
  const Shape& shape() const { return shape_; }
  int64_t classes() const { return classes_; }
  /// See Dataset::class_names().
  const ClassNames& class_names() const { return class_names_; }
  /// See Understood. Labels are delivered as classes, from 0 on; the ignored one as it is.
  int64_t first_label() const { return first_label_; }
  /// A note (Dataset::notes()) if the labels were found to begin with 1; else "".
  std::string note() const;
  /// How often each class occurs, except the ignored label; empty unless all labels were read.
  const LabelCounts& counts() const { return counts_; }
  /// See Dataset::label().
  int64_t label(int64_t index) const;
  /// See Dataset::class_targets().
  std::vector<int64_t> class_targets() const;
  /// Bytes of all targets when they are held in memory.
  int64_t bytes() const { return column_->rows() * static_cast<int64_t>(bytes_kept_of_row()); }
  bool in_memory() const { return is_one_class() || column_->in_memory(); }
  /// Bytes per row that read() delivers.
  size_t row_bytes() const { return static_cast<size_t>(shape_.elements()) * sizeof(float); }

  /// Reads everything into memory, or streams it from the files; see Column. One class per sample is always
  /// in memory.
  void load(const MachineMemory* machine = nullptr);
  void stream(int64_t cache_bytes, const MachineMemory* machine = nullptr, int readers = 1);
  void read(std::span<const int64_t> indices, std::byte* out) const;

 private:
  /// Whether there is one class per sample, rather than one at each position.
  bool is_one_class() const { return kind_ == TargetKind::classes && shape_.rank() == 0; }
  size_t bytes_kept_of_row() const { return is_one_class() ? sizeof(int32_t) : column_->row_bytes(); }
  TargetKind find_kind(const DatasetOptions& options, const Column* samples);
  void count();
  void read_labels();
  void open_classes_at_positions(bool count_all);
  void read_labels_at_positions(std::span<const int64_t> indices, int32_t* labels, size_t count) const;
  void count_classes_at_positions();
  void open_probabilities(int64_t declared);
  bool is_ignored(double label) const { return ignored_ && label == static_cast<double>(*ignored_); }
  bool is_class(double label) const;
  int64_t label_end() const;
  void choose_first_label();
  template <typename T>
  void require_classes(const T* labels, int64_t first, int64_t count) const;
  [[noreturn]] void fail_no_class(int64_t row, double label, const std::string& text) const;

  ClassNames class_names_;
  std::unique_ptr<Column> column_;
  bool are_tokens_;  ///< ids, which are inputs of the network too
  TargetKind kind_ = TargetKind::none;
  Shape shape_;
  int64_t classes_ = 0;
  int64_t declared_ = 0;  ///< number of classes given by options; 0: not given
  int64_t first_label_ = 0;
  /// Whether that may turn out to be 1: a label more is then allowed, until all were seen.
  bool may_begin_with_1_ = false;
  bool begins_with_1_ = false;  ///< it did
  std::optional<int64_t> ignored_;
  LabelCounts counts_;
  std::vector<int32_t> labels_;  ///< if there is one class per sample
};

/// Throws Error(data) unless each file has as many targets as samples.
void require_equal_lengths(const Column& x, const Column& y);

}  // namespace lockstep
