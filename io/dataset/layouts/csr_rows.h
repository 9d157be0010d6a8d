#pragma once

#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

/// The rows of a sparse matrix that is stored by rows (CSR), dense: a group with the data sets `data`,
/// `indices` (of columns) and `indptr`, where each row begins in them, and an attribute that gives the shape,
/// as AnnData and h5sparse write it. Holds indptr in memory.
class CsrRows final : public StoredRows {
 public:
  /// Throws Error(data) unless is_sparse(), and for a matrix that is stored by columns or whose parts
  /// contradict each other.
  CsrRows(hdf5::File file, const std::string& group);

  /// Whether a name is that of a group with these data sets.
  static bool is_sparse(const hdf5::File& file, const std::string& name);

  std::vector<std::string> data_sets() const override {
    return {data_.name(), indices_.name(), starts_name_};
  }
  /// Throws Error(data) for a column that is out of range.
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  void read_starts(int64_t rows);
  /// Adds the values of a row to the zeros at `out`.
  template <typename T>
  void scatter(int64_t row, std::span<const int64_t> columns, const std::byte* stored, T* out) const;

  hdf5::Dataset data_, indices_;
  std::string starts_name_;
  std::vector<int64_t> starts_;  ///< of each row in data_ and indices_, and the end of the last one
};

}  // namespace lockstep
