#include "io/hdf5/walk.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/chunks/chunk_reader.h"
#include "io/probe/probe.h"

namespace lockstep::hdf5 {

namespace {

constexpr hsize_t kMaxElements = hsize_t{1} << 19;

using Extents = std::vector<hsize_t>;

/// A box of at most kMaxElements: as many units as fit along the last axis, then along the one before it, and
/// so on; at least one and at most `limits` along each.
Extents box_of_units(const Extents& units, const Extents& limits) {
  Extents size(units);
  hsize_t elements = 1;
  for (const hsize_t extent : units) elements *= extent;
  for (size_t axis = units.size(); axis-- > 0;) {
    const hsize_t fitting = std::max<hsize_t>(1, kMaxElements / std::max<hsize_t>(elements, 1));
    const hsize_t wanted = (limits[axis] + units[axis] - 1) / units[axis];
    const hsize_t count = std::min(fitting, wanted);
    elements *= count;
    size[axis] = units[axis] * count;
  }
  return size;
}

/// Calls visit(start, size) for each box of a grid over [first, first + extents).
template <typename Visit>
void for_each_box(const Extents& first, const Extents& extents, const Extents& box, Visit visit) {
  Extents at(extents.size(), 0), start(first), size(extents.size());
  for (;;) {
    for (size_t axis = 0; axis < at.size(); ++axis) {
      start[axis] = first[axis] + at[axis];
      size[axis] = std::min(box[axis], extents[axis] - at[axis]);
    }
    visit(start, size);
    size_t axis = at.size();
    while (axis > 0 && (at[axis - 1] += box[axis - 1]) >= extents[axis - 1]) at[--axis] = 0;
    if (axis == 0) return;
  }
}

/// Whether any chunk of a box was ever written.
bool is_written(const Dataset& dataset, const Extents& start, const Extents& size, const Extents& chunk) {
  bool found = false;
  for_each_box(start, size, chunk, [&](const Extents& corner, const Extents&) {
    found = found || stored_chunk_bytes(dataset.id(), corner, dataset.where()) > 0;
  });
  return found;
}

}  // namespace

void require_plausible_chunks(const Dataset& dataset) {
  constexpr double kManyChunks = 1e7, kMinWritten = 1. / 16;
  if (dataset.chunk().empty()) return;
  double claimed = 1;
  for (size_t axis = 0; axis < dataset.chunk().size(); ++axis)
    claimed *=
        std::ceil(static_cast<double>(dataset.extents()[axis]) / static_cast<double>(dataset.chunk()[axis]));
  if (claimed < kManyChunks) return;
  const int64_t written = dataset.chunks();
  if (written > 0 && static_cast<double>(written) < kMinWritten * claimed)
    fail(ExitCode::data,
         "{} claims {:.3g} chunks, of which {} were written: its header is damaged, or its chunks are far "
         "too small. "
         "Recreate it with larger chunks, or with the extent of what was written.",
         dataset.where(), claimed, written);
}

Dataset open_to_walk(const File& file, const std::string& name) {
  // Stored, decoded, and once more between two filters.
  constexpr size_t kCopies = 3, kSmall = size_t{64} << 20;
  Dataset dataset = file.dataset(name, 0);
  if (dataset.filters().empty() || dataset.chunk().empty()) return dataset;
  const size_t bytes = chunk_bytes(dataset);
  if (bytes > kSmall) allow_probe_memory(kCopies * bytes);
  if (!dataset.is_decoded_by_libhdf5()) return dataset;
  // libhdf5 would decode a chunk once for each part of it that is read.
  return file.dataset(name, static_cast<int64_t>(bytes));
}

Unwritten walk_values(
    const Dataset& dataset,
    const std::function<void(std::span<const double>, const Extents&, const Extents&)>& visit) {
  const Extents extents(dataset.extents().begin(), dataset.extents().end());
  const Extents ones(extents.size(), 1), origin(extents.size(), 0);
  Extents units = ones;
  if (!dataset.chunk().empty()) units.assign(dataset.chunk().begin(), dataset.chunk().end());
  std::optional<ChunkReader> chunks;
  if (!dataset.is_read_by_libhdf5()) chunks.emplace(dataset);
  std::vector<double> values;
  const auto read = [&](const Extents& start, const Extents& size) {
    size_t elements = 1;
    for (const hsize_t extent : size) elements *= extent;
    values.resize(elements);
    // One reader for all, because it caches the most recently decoded chunk.
    if (chunks)
      chunks->read(start, size, DType::f64, reinterpret_cast<std::byte*>(values.data()));
    else
      dataset.read_box(start, size, DType::f64, values.data());
    visit(values, start, size);
  };
  require_plausible_chunks(dataset);
  Unwritten unwritten;
  // Several whole chunks at a time, or parts of a chunk that is too large to be converted at once.
  for_each_box(origin, extents, box_of_units(units, extents), [&](const Extents& start, const Extents& size) {
    if (dataset.chunk().empty() || is_written(dataset, start, size, units))
      return for_each_box(start, size, box_of_units(ones, size), read);
    note_probe_progress();
    if (unwritten.elements == 0) dataset.read_box(start, ones, DType::f64, &unwritten.value);
    int64_t elements = 1;
    for (const hsize_t extent : size) elements *= static_cast<int64_t>(extent);
    unwritten.elements += elements;
  });
  return unwritten;
}

void decode_chunks(const Dataset& dataset) {
  require_plausible_chunks(dataset);
  const Extents extents(dataset.extents().begin(), dataset.extents().end());
  const Extents ones(extents.size(), 1), chunk(dataset.chunk().begin(), dataset.chunk().end());
  std::vector<std::byte> element(dataset.type().bytes);
  for_each_box(Extents(extents.size(), 0), extents, chunk, [&](const Extents& corner, const Extents&) {
    if (stored_chunk_bytes(dataset.id(), corner, dataset.where()) > 0)
      dataset.read_box(corner, ones, std::nullopt, element.data());
    note_probe_progress();
  });
}

}  // namespace lockstep::hdf5
