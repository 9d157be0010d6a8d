#pragma once

#include <string>
#include <vector>

#include "io/repack/divide_rows.h"
#include "io/repack/raw_rows.h"

namespace lockstep {

/// A sparse matrix in the format CSR, which stays one: see CsrRows.
class DividedMatrix final : public DividedRows {
 public:
  /// The group is one that CsrRows reads.
  DividedMatrix(const hdf5::File& file, const std::string& group);

  int64_t rows() const override { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t bytes() const override;
  void divide(const Division& division, const std::string& to) const override;

 private:
  /// Divides one of the two data sets with an element for each value of the matrix.
  void divide_values(const Division& division, const RawRows& values, const std::string& to) const;

  const hdf5::File& file_;
  std::string group_;
  hdf5::Dataset data_, indices_;
  std::vector<int64_t> starts_;  ///< of each row in these, and the end of the last one
};

}  // namespace lockstep
