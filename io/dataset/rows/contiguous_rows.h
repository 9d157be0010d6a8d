#pragma once

#include <sys/uio.h>

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// Rows stored contiguously in the format in which they are delivered. They are read directly into their
/// destination, by several threads at once, without libhdf5. Rows that are not in the page cache are read
/// from the disk or server all at once, rather than one after another.
class ContiguousRows final : public RowSource {
 public:
  ContiguousRows(const StoredRows& stored, RowFormat format);

  static bool fits(const StoredRows& stored, DType dtype);

  void read(std::span<RowRequest> wanted) const override;
  std::string route() const override { return "contiguous"; }

 private:
  /// Where a row begins among the values.
  uint64_t offset_of(int64_t row) const { return static_cast<uint64_t>(row) * format_.row_bytes; }
  /// Reads the rows from `first` on if they are in the page cache; else returns false.
  bool is_read_from_cache(std::span<const iovec> pieces, int64_t first) const;
  /// Lets the system start to read these rows, which are sorted.
  void ask_for(std::span<const RowRequest> wanted) const;
  /// Reads rows [first, first + count) into these pieces of memory, in order. Modifies `pieces`.
  void read_pieces(std::span<iovec> pieces, int64_t first, int64_t count) const;

  const StoredRows& stored_;
  RowFormat format_;
};

}  // namespace lockstep
