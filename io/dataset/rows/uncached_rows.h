#pragma once

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// Rows that are read from their file each time, by hdf5::Dataset: chunks without filters, of which any row
/// can be read alone; virtual data sets and raw files; values that have to be converted; chunks that each
/// hold a few values of more rows than a cache has room for.
class UncachedRows final : public RowSource {
 public:
  UncachedRows(const StoredRows& stored, RowFormat format);

  void read(std::span<RowRequest> wanted) const override;
  double decoded_bytes_per_row() const override;
  std::string route() const override { return "uncached"; }

 private:
  const StoredRows& stored_;
  RowFormat format_;
};

}  // namespace lockstep
