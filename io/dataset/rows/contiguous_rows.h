#pragma once

#include <sys/uio.h>

#include "io/dataset/rows/row_source.h"
#include "io/hdf5/plain_values.h"

namespace lockstep {

/// Rows stored contiguously in the format in which they are delivered. They are read directly into their
/// destination, by several threads at once, without libhdf5. Rows that are not in the page cache are read
/// from the disk or server all at once, rather than one after another.
class ContiguousRows final : public RowSource {
 public:
  ContiguousRows(const StoredRows& stored, RowFormat format, hdf5::PlainValues values);

  void read(std::span<RowRequest> wanted) const override;
  std::string route() const override { return "contiguous"; }

 private:
  /// Where a row begins in the file.
  int64_t place_of(int64_t row) const {
    return values_.offset + row * static_cast<int64_t>(format_.row_bytes);
  }
  /// Whether reading the row's first byte need not wait. Also false if the file system cannot tell.
  bool is_cached(int64_t row) const;
  /// Lets the system start to read these rows, which are sorted.
  void ask_for(std::span<const RowRequest> wanted) const;
  /// Reads rows [first, first + count) into these pieces of memory, in order. Modifies `pieces`.
  void read_pieces(std::span<iovec> pieces, int64_t first, int64_t count) const;

  const StoredRows& stored_;
  RowFormat format_;
  hdf5::PlainValues values_;
};

}  // namespace lockstep
