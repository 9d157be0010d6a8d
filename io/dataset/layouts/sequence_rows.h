#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "io/hdf5/convert.h"

namespace lockstep {

/// Sequences of numbers of variable length, one a row, padded at their ends to one length.
class SequenceRows final : public StoredRows {
 public:
  /// length: of the rows; 0: that of the longest sequence. padding: the number that fills them up. Throws
  /// Error(data) naming the first sequence that is longer.
  SequenceRows(hdf5::File file, const std::string& name, int64_t length, double padding);

  /// Whether the elements of a data set are sequences of numbers, one for each row.
  static bool holds_sequences(const hdf5::Dataset& dataset);
  /// The length of the longest one.
  static int64_t longest(const hdf5::Dataset& dataset);

  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  std::vector<int64_t> lengths_of(int64_t first, int64_t count) const override;
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  /// Calls visit(values, as stored) for rows in order. Throws Error(data) naming one that cannot be read.
  void for_each_sequence(std::span<const hdf5::RowRun> runs,
                         const std::function<void(std::span<const std::byte>)>& visit) const;

  hdf5::Dataset dataset_;
  hdf5::NumberType number_;
  double padding_;
};

/// The length of the longest sequence in these files; 0 if one of them does not hold sequences.
int64_t longest_sequence(const std::vector<std::string>& files, const std::string& name);

}  // namespace lockstep
