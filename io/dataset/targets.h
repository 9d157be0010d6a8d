#pragma once

#include <memory>
#include <vector>

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"
#include "io/dataset/label_counts.h"

namespace lockstep {

/// The targets of a data set: what they are, checked, and given out as Dataset promises.
///
/// What a stored data set is taken for:
///   options.task = values              -> values
///   (N) or (N, 1)                      -> classes when options.classes is set, else as kind_of_numbers()
///   says (N, C), C > 1, integers or floats  -> probabilities: no negative value, and each row sums to 1
class Targets {
 public:
  /// Opens and classifies; reads and checks all labels if they are classes. Throws Error(data).
  Targets(const std::vector<std::string>& files, const std::string& name, const DatasetOptions& options);

  const Column& column() const { return *column_; }
  TargetKind kind() const { return kind_; }
  const Shape& shape() const { return shape_; }
  int64_t classes() const { return classes_; }
  /// How often each label occurs; empty unless there was a look at one number a sample.
  const LabelCounts& counts() const { return counts_; }
  /// Bytes of all targets in memory, and whether they are there.
  int64_t bytes() const { return column_->rows() * static_cast<int64_t>(row_bytes()); }
  bool in_memory() const { return kind_ == TargetKind::classes || column_->in_memory(); }
  size_t row_bytes() const { return kind_ == TargetKind::classes ? sizeof(int32_t) : column_->row_bytes(); }

  /// Reads everything into memory, or leaves it in the files; see Column. Classes are always in memory.
  void load();
  void stream(int64_t cache_bytes);
  void read(std::span<const int64_t> indices, std::byte* out) const;

 private:
  void count();
  void read_labels(int64_t declared);

  std::unique_ptr<Column> column_;
  TargetKind kind_ = TargetKind::none;
  Shape shape_;
  int64_t classes_ = 0;
  LabelCounts counts_;
  std::vector<int32_t> labels_;
};

/// Throws Error(data) unless each file has as many targets as samples.
void require_equal_lengths(const Column& x, const Column& y);

}  // namespace lockstep
