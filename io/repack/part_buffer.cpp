#include "io/repack/part_buffer.h"

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

/// Level of deflate of a data set that is compressed by any filter.
int deflate_level(const hdf5::Dataset& dataset) {
  constexpr int kLevelOfOthers = 4;
  const hdf5::Lock lock;
  const hdf5::Id creation(H5Dget_create_plist(dataset.id()));
  unsigned flags = 0, level = 0;
  size_t count = 1;
  if (H5Pget_filter_by_id2(creation.get(), H5Z_FILTER_DEFLATE, &flags, &count, &level, 0, nullptr, nullptr) <
      0) {
    H5Eclear2(H5E_DEFAULT);
    return kLevelOfOthers;
  }
  return std::clamp(static_cast<int>(level), 1, 9);
}

}  // namespace

RowStorage storage_like(const RawRows& rows, int64_t count) {
  constexpr int64_t kChunkBytes = int64_t{256} << 10, kMaxChunkBytes = int64_t{64} << 20;
  if (rows.dataset().filters().empty() || count == 0) return {};
  const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
  int64_t chunk = rows.dataset().chunk()[0];
  if (chunk * row_bytes > kMaxChunkBytes || chunk * row_bytes < kChunkBytes / 16)
    chunk = kChunkBytes / row_bytes;
  return {.chunk_rows = std::clamp<int64_t>(chunk, 1, count), .level = deflate_level(rows.dataset())};
}

size_t memory_of_part(const Division& division) {
  return static_cast<size_t>(division.memory_bytes) / 2 / division.parts.size();
}

PartBuffer::PartBuffer(std::unique_ptr<RowWriter> writer, size_t row_bytes, size_t memory_bytes)
    : writer_(std::move(writer)) {
  const size_t chunk = static_cast<size_t>(writer_->multiple()) * row_bytes;
  flush_at_ = std::max<size_t>(1, memory_bytes / chunk) * chunk;
}

void PartBuffer::add(std::span<const std::byte> rows) {
  while (!rows.empty()) {
    const auto piece = rows.first(std::min(rows.size(), flush_at_ - rows_.size()));
    rows_.insert(rows_.end(), piece.begin(), piece.end());
    rows = rows.subspan(piece.size());
    if (rows_.size() == flush_at_) flush();
  }
}

void PartBuffer::flush() {
  writer_->append(rows_);
  rows_.clear();
}

void for_each_divided_row(const Division& division, size_t row_bytes, int64_t block_rows,
                          const std::function<void(int64_t first, int64_t count, std::byte* out)>& read,
                          const std::function<void(uint8_t part, std::span<const std::byte> row)>& take) {
  const auto rows = static_cast<int64_t>(division.part_of.size());
  const auto fitting = static_cast<int64_t>(static_cast<size_t>(division.memory_bytes) / 2 / row_bytes);
  const int64_t piece =
      std::max<int64_t>(1, fitting >= block_rows ? fitting / block_rows * block_rows : fitting);
  std::vector<std::byte> values(static_cast<size_t>(std::min(piece, rows)) * row_bytes);
  for (int64_t first = 0; first < rows; first += piece) {
    const int64_t count = std::min(piece, rows - first);
    read(first, count, values.data());
    for (int64_t row = 0; row < count; ++row)
      take(division.part_of[static_cast<size_t>(first + row)],
           std::span(values).subspan(static_cast<size_t>(row) * row_bytes, row_bytes));
    if (division.note_done) division.note_done(count * static_cast<int64_t>(row_bytes));
  }
}

}  // namespace lockstep
