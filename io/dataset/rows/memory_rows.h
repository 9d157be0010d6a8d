#pragma once

#include <memory>

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// Rows held in memory, decoded once.
class MemoryRows final : public RowSource {
 public:
  /// Allocates memory for this many rows.
  MemoryRows(int64_t rows, size_t row_bytes);
  /// Reads all rows of a file, checks them and appends them. `format`'s check numbers rows from 0 in each
  /// file.
  void append(const StoredRows& stored, const RowFormat& format);

  void read(std::span<RowRequest> wanted) const override;
  std::string route() const override { return "memory"; }

 private:
  std::byte* at(int64_t row) const { return memory_.get() + static_cast<size_t>(row) * row_bytes_; }

  size_t row_bytes_;
  std::unique_ptr<std::byte[]> memory_;
  int64_t filled_ = 0;  ///< rows
};

}  // namespace lockstep
