#include "io/dataset/rows/contiguous_rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "src/core/activity.h"

namespace lockstep {

namespace {

constexpr size_t kMaxPieces = 256;  // of memory per call; the system's limit is 1024
constexpr size_t kLookEvery = 32;   // ranges: a look costs a third of reading a cached row of 12 KiB

}  // namespace

ContiguousRows::ContiguousRows(const StoredRows& stored, RowFormat format, hdf5::PlainValues values)
    : stored_(stored), format_(std::move(format)), values_(std::move(values)) {}

void ContiguousRows::read(std::span<RowRequest> wanted) const {
  if (wanted.empty()) return;
  sort_by_row(wanted);
  stored_.read_unchanged([&] {
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
      if (!asked && ranges++ % kLookEvery == 0 && !is_cached(first)) {
        ask_for(wanted.subspan(begin));
        asked = true;
      }
      read_pieces(pieces, first, next - first);
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

bool ContiguousRows::is_cached(int64_t row) const {
  std::byte first;
  const iovec piece{&first, 1};
  // Zero too may mean that it would have to wait: a bug of Linux 5.9 and 5.10.
  return preadv2(values_.descriptor, &piece, 1, place_of(row), RWF_NOWAIT) == 1;
}

void ContiguousRows::ask_for(std::span<const RowRequest> wanted) const {
  for (size_t begin = 0, end; begin < wanted.size(); begin = end) {
    int64_t next = wanted[begin].row;
    for (end = begin; end < wanted.size() && wanted[end].row <= next; ++end) next = wanted[end].row + 1;
    // Only a hint: if it fails, the rows are read one after another.
    posix_fadvise(values_.descriptor, place_of(wanted[begin].row),
                  place_of(next) - place_of(wanted[begin].row), POSIX_FADV_WILLNEED);
  }
}

void ContiguousRows::read_pieces(std::span<iovec> pieces, int64_t first, int64_t count) const {
  const hdf5::Dataset& dataset = stored_.dataset();
  const FileActivity reading(dataset.file(), dataset.name(), first, count);
  int64_t at = place_of(first);
  while (!pieces.empty()) {
    // Rows in random order are one piece each, for which the system need not copy a list of pieces.
    const ssize_t got = pieces.size() == 1
                            ? pread(values_.descriptor, pieces[0].iov_base, pieces[0].iov_len, at)
                            : preadv(values_.descriptor, pieces.data(), static_cast<int>(pieces.size()), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      fail(ExitCode::data, "{}: rows {} to {} cannot be read: {}. The file is damaged.", dataset.where(),
           first, first + count - 1, got < 0 ? std::strerror(errno) : "the file ends before their values do");
    at += got;
    size_t left = static_cast<size_t>(got);
    while (!pieces.empty() && left >= pieces.front().iov_len) {
      left -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (left > 0)
      pieces.front() = {static_cast<std::byte*>(pieces.front().iov_base) + left,
                        pieces.front().iov_len - left};
  }
}

}  // namespace lockstep
