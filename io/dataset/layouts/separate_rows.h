#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

class KeptFile;

/// A data set for each sample, named by a pattern: "/data/*/obs". All have the same shape and type.
class SeparateRows final : public StoredRows {
 public:
  /// Throws Error(data) if no data set matches, or naming the first that differs from the first one.
  SeparateRows(hdf5::File file, const std::string& pattern);

  /// Whether a name has a * and is not that of a data set itself.
  static bool is_pattern(const hdf5::File& file, const std::string& name);

  std::vector<std::string> data_sets() const override { return to_examine_; }
  const std::vector<std::string>& keys() const override { return keys_; }
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  /// Where the values of a row lie, in the file of the first row; 0: libhdf5 has to read them.
  struct Place {
    uint64_t address = 0;
  };
  void look_at(size_t row);
  void read_row(size_t row, DType dtype, std::byte* out) const;

  std::vector<std::string> names_, keys_;  ///< of each row
  hdf5::Dataset first_;
  int descriptor_ = -1;             ///< of the first row's file
  std::shared_ptr<KeptFile> kept_;  ///< its copy, through which it is read; null: none
  size_t stored_bytes_ = 0;         ///< of a row
  std::vector<Place> places_;
  std::vector<std::string> to_examine_;
};

/// A name that a pattern matches, and what its * stand for: "/data/*/obs" matches "/data/17/obs" with "17".
struct MatchingName {
  std::string name, key;
};

/// The objects of a file that a pattern matches, in natural order. A * stands for any characters but "/".
/// Throws Error(data) for more than 2^24.
std::vector<MatchingName> matching_names(const hdf5::File& file, const std::string& pattern);

}  // namespace lockstep
