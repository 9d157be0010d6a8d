#pragma once

#include <sys/uio.h>

#include "io/dataset/rows/row_source.h"
#include "io/hdf5/plain_values.h"

namespace lockstep {

/// Rows stored contiguously in the format in which they are delivered. They are read directly into their
/// destination, by several threads at once, without libhdf5.
class ContiguousRows final : public RowSource {
 public:
  ContiguousRows(const StoredRows& stored, RowFormat format, hdf5::PlainValues values);

  void read(std::span<RowRequest> wanted) const override;
  std::string route() const override { return "contiguous"; }

 private:
  /// Reads rows [first, first + count) into these pieces of memory, in order. Modifies `pieces`.
  void read_pieces(std::span<iovec> pieces, int64_t first, int64_t count) const;

  const StoredRows& stored_;
  RowFormat format_;
  hdf5::PlainValues values_;
};

}  // namespace lockstep
