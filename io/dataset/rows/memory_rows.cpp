#include "io/dataset/rows/memory_rows.h"

#include <algorithm>
#include <cstring>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

MemoryRows::MemoryRows(int64_t rows, size_t row_bytes, const MachineMemory* machine)
    : row_bytes_(row_bytes), machine_(machine) {
  const size_t bytes = static_cast<size_t>(rows) * row_bytes;
  if (machine != nullptr) memory_ = machine->allocate(bytes);
  if (memory_)
    shared_by_ = machine->ranks;
  else
    memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
}

void MemoryRows::append(const StoredRows& stored, RowRange range, const RowFormat& format) {
  const int64_t piece = stored.rows_of_a_piece(row_bytes_);
  for (int64_t done = 0; done < range.count; done += piece) {
    const int64_t number = pieces_++;
    if (shared_by_ > 1 && number % shared_by_ != machine_->rank) continue;
    const int64_t first = range.first + done, count = std::min(piece, range.count - done);
    std::byte* rows = at(filled_ + done);
    stored.read_rows(first, count, format.dtype, rows);
    format.require_good(rows, first, count);
  }
  stored.require_all_unchanged();
  filled_ += range.count;
}

void MemoryRows::finish() {
  if (machine_ != nullptr) machine_->wait_for_all();
  machine_ = nullptr;
}

void MemoryRows::read(std::span<RowRequest> wanted) const {
  for (const RowRequest& request : wanted) std::memcpy(request.to, at(request.row), row_bytes_);
}

}  // namespace lockstep
