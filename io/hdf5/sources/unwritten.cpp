#include <algorithm>

#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/sources/source_walk.h"
#include "src/core/counted.h"

namespace lockstep::hdf5 {

namespace {

/// Chunks are looked up one by one, in a tree or a table.
constexpr int64_t kMaxLookups = 200'000;

}  // namespace

std::string unwritten_rows(const Dataset& dataset) {
  if (dataset.elements() == 0 || dataset.extents().empty()) return "";
  const std::vector<int64_t>&extents = dataset.extents(), &chunk = dataset.chunk();
  const int64_t rows = extents[0];
  const auto nothing = [&] {
    return fmt::format("{} holds nothing: no row was ever written, so {} would read as the fill value.",
                       dataset.where(), counted(rows, "row"));
  };
  if (chunk.empty()) return dataset.layout() == "contiguous" && dataset.stored_bytes() == 0 ? nothing() : "";
  int64_t expected = 1;
  std::vector<int64_t> counts;
  for (size_t axis = 0; axis < chunk.size(); ++axis) {
    if (chunk[axis] <= 0) return "";
    counts.push_back((extents[axis] + chunk[axis] - 1) / chunk[axis]);
    expected *= counts.back();
  }
  const int64_t written = dataset.chunks();
  if (written >= expected) return "";
  if (written == 0) return nothing();
  if (expected > kMaxLookups)
    return fmt::format("{}: {} of its {} chunks were never written, and read as the fill value.",
                       dataset.where(), expected - written, expected);
  const Lock lock;
  int64_t missing_rows = 0, first = -1, last = -1;
  const int64_t chunks_a_row = expected / counts[0];
  for (int64_t slab = 0; slab < counts[0]; ++slab) {
    bool missing = false;
    for (int64_t other = 0; other < chunks_a_row && !missing; ++other) {
      std::vector<hsize_t> offset(chunk.size());
      offset[0] = static_cast<hsize_t>(slab * chunk[0]);
      int64_t rest = other;
      for (size_t axis = chunk.size(); axis-- > 1; rest /= counts[axis])
        offset[axis] = static_cast<hsize_t>(rest % counts[axis] * chunk[axis]);
      missing = stored_chunk_bytes(dataset.id(), offset, dataset.where()) == 0;
    }
    if (!missing) continue;
    if (first < 0) first = slab * chunk[0];
    last = std::min(rows, (slab + 1) * chunk[0]) - 1;
    missing_rows += last - slab * chunk[0] + 1;
  }
  return fmt::format(
      "{}: {} of its {} rows, between row {} and {}, lie wholly or partly in chunks that were never written, "
      "and "
      "read as the fill value.",
      dataset.where(), missing_rows, rows, first, last);
}

}  // namespace lockstep::hdf5
