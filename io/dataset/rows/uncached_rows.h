#pragma once

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// Rows that are read from their file each time: chunks without filters, from which single rows
/// can be read; contiguous values that must be converted; chunks that each hold a few values of more rows
/// than the cache has room for; and what libhdf5 has to read, such as virtual data sets.
class UncachedRows final : public RowSource {
 public:
  UncachedRows(const StoredRows& stored, RowFormat format);

  void read(std::span<RowRequest> wanted) const override;
  double decoded_bytes_per_row() const override;
  std::string route() const override;

 private:
  const StoredRows& stored_;
  RowFormat format_;
};

}  // namespace lockstep
