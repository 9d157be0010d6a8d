#include "io/dataset/rows/uncached_rows.h"

#include <cstring>
#include <utility>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

UncachedRows::UncachedRows(const StoredRows& stored, RowFormat format)
    : stored_(stored), format_(std::move(format)) {}

double UncachedRows::decoded_bytes_per_row() const { return stored_.decoded_bytes_per_row(0); }

std::string UncachedRows::route() const { return stored_.facts().by_libhdf5 ? "libhdf5" : "uncached"; }

void UncachedRows::read(std::span<RowRequest> wanted) const {
  sort_by_row(wanted);
  std::vector<hdf5::RowRun> runs;
  size_t rows = 0;
  for (const RowRequest& request : wanted) {
    const int64_t behind = runs.empty() ? -1 : runs.back().first + runs.back().count;
    if (request.row < behind) continue;  // requested more than once
    if (request.row == behind)
      ++runs.back().count;
    else
      runs.push_back({request.row, 1});
    ++rows;
  }
  stored_.read_unchanged([&] {
    const auto found = std::make_unique_for_overwrite<std::byte[]>(rows * format_.row_bytes);
    stored_.read_runs(runs, format_.dtype, found.get());
    const std::byte* at = found.get();
    for (const hdf5::RowRun& run : runs) {
      format_.require_good(at, run.first, run.count);
      at += static_cast<size_t>(run.count) * format_.row_bytes;
    }
    at = found.get();
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (i > 0 && wanted[i].row != wanted[i - 1].row) at += format_.row_bytes;
      std::memcpy(wanted[i].to, at, format_.row_bytes);
    }
  });
}

}  // namespace lockstep
