#include "io/dataset/rows/contiguous_rows.h"

#include <cstring>
#include <utility>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "io/hdf5/filters/filters.h"
#include "src/core/activity.h"

namespace lockstep {

namespace {

constexpr size_t kMaxPieces = 256;  // of memory per call; the system's limit is 1024
constexpr size_t kLookEvery = 32;   // ranges: reading one only if it is cached costs more than reading it

}  // namespace

ContiguousRows::ContiguousRows(const StoredRows& stored, RowFormat format)
    : stored_(stored), format_(std::move(format)) {}

bool ContiguousRows::fits(const StoredRows& stored, DType dtype) {
  const hdf5::Dataset* dataset = stored.plain();
  return dataset != nullptr && dataset->chunk_map() != nullptr && dataset->chunk().empty() &&
         dataset->is_stored_as(dtype);
}

void ContiguousRows::read(std::span<RowRequest> wanted) const {
  if (wanted.empty()) return;
  sort_by_row(wanted);
  const hdf5::Dataset& dataset = *stored_.plain();
  stored_.read_unchanged([&] {
    FileActivity reading(dataset.file(), dataset.name(), wanted[0].row, 1);
    std::vector<iovec> pieces;
    bool asked = false;  // for the remaining rows
    size_t ranges = 0;
    for (size_t begin = 0, end; begin < wanted.size(); begin = end) {
      pieces.clear();
      const int64_t first = wanted[begin].row;
      int64_t next = first;
      for (end = begin; end < wanted.size() && wanted[end].row <= next; ++end) {
        if (wanted[end].row < next) continue;  // requested more than once
        std::byte* to = wanted[end].to;
        const bool is_behind =
            !pieces.empty() && static_cast<std::byte*>(pieces.back().iov_base) + pieces.back().iov_len == to;
        if (is_behind)
          pieces.back().iov_len += format_.row_bytes;
        else if (pieces.size() < kMaxPieces)
          pieces.push_back({to, format_.row_bytes});
        else
          break;
        ++next;
      }
      reading.move_to(first, next - first);
      const bool looks = !asked && ranges++ % kLookEvery == 0;
      if (!looks || !is_read_from_cache(pieces, first)) {
        asked = asked || looks;
        if (looks) ask_for(wanted.subspan(begin));
        read_pieces(pieces, first, next - first);
      }
      const RowRequest* last = nullptr;
      for (const RowRequest& request : wanted.subspan(begin, end - begin)) {
        if (last != nullptr && last->row == request.row) {
          std::memcpy(request.to, last->to, format_.row_bytes);
          continue;
        }
        format_.require_good(request.to, request.row, 1);
        last = &request;
      }
    }
  });
}

bool ContiguousRows::is_read_from_cache(std::span<const iovec> pieces, int64_t first) const {
  const hdf5::ChunkMap& map = *stored_.plain()->chunk_map();
  return map.read_cached(map.find({}), offset_of(first), pieces);
}

void ContiguousRows::ask_for(std::span<const RowRequest> wanted) const {
  const hdf5::ChunkMap& map = *stored_.plain()->chunk_map();
  for (size_t begin = 0, end; begin < wanted.size(); begin = end) {
    int64_t next = wanted[begin].row;
    for (end = begin; end < wanted.size() && wanted[end].row <= next; ++end) next = wanted[end].row + 1;
    map.ask_for(map.find({}), offset_of(wanted[begin].row), offset_of(next) - offset_of(wanted[begin].row));
  }
}

void ContiguousRows::read_pieces(std::span<iovec> pieces, int64_t first, int64_t count) const {
  const hdf5::Dataset& dataset = *stored_.plain();
  const hdf5::ChunkMap& map = *dataset.chunk_map();
  try {
    map.read(map.find({}), offset_of(first), pieces);
  } catch (const filters::BadChunk& e) {
    fail(ExitCode::data, "{}: rows {} to {} cannot be read: {}. The file is damaged.", dataset.where(), first,
         first + count - 1, e.what());
  }
}

}  // namespace lockstep
