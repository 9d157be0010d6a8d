#pragma once

#include <memory>

#include "io/dataset/machine_memory.h"
#include "io/dataset/rows/row_source.h"
#include "io/dataset/stored_blocks.h"

namespace lockstep {

/// Rows held in memory, decoded once.
class MemoryRows final : public RowSource {
 public:
  /// Allocates memory for this many rows, shared by the ranks of `machine` if it is given and they can.
  MemoryRows(int64_t rows, size_t row_bytes, const MachineMemory* machine = nullptr);
  /// Reads these rows of a file, checks them and appends them; of shared memory, each rank reads its part.
  /// `format`'s check numbers rows as in the file.
  void append(const StoredRows& stored, RowRange range, const RowFormat& format);
  /// Returns once all ranks have appended their parts. Required after the last append().
  void finish();
  /// The number of ranks that share the memory.
  int shared_by() const { return shared_by_; }

  void read(std::span<RowRequest> wanted) const override;
  std::string route() const override { return "memory"; }

 private:
  std::byte* at(int64_t row) const { return memory_.get() + static_cast<size_t>(row) * row_bytes_; }

  size_t row_bytes_;
  const MachineMemory* machine_;  ///< until finish(); null: no other rank takes part
  int shared_by_ = 1;
  std::shared_ptr<std::byte[]> memory_;
  int64_t filled_ = 0;  ///< rows
  int64_t pieces_ = 0;  ///< read so far by all ranks
};

}  // namespace lockstep
