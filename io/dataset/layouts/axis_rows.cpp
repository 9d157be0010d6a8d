#include "io/dataset/layouts/axis_rows.h"

#include <utility>

#include "io/dataset/layouts/move_axis.h"
#include "io/dataset/layouts/plain_rows.h"

namespace lockstep {

void read_along(const hdf5::Dataset& dataset, int axis, int64_t first, int64_t count,
                std::optional<DType> dtype, std::byte* out) {
  std::vector<hsize_t> start(dataset.extents().size(), 0),
      size(dataset.extents().begin(), dataset.extents().end());
  const auto at = static_cast<size_t>(axis);
  start[at] = static_cast<hsize_t>(first);
  size[at] = static_cast<hsize_t>(count);
  int64_t outer = 1, inner = 1;
  for (size_t other = 0; other < at; ++other) outer *= dataset.extents()[other];
  for (size_t other = at + 1; other < size.size(); ++other) inner *= dataset.extents()[other];
  if (outer == 1) return dataset.read_box(start, size, dtype, out);
  const size_t bytes = dtype ? size_of(*dtype) : dataset.type().bytes;
  const auto found =
      std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(outer * count * inner) * bytes);
  dataset.read_box(start, size, dtype, found.get());
  move_axis_first(found.get(), outer, count, inner, bytes, out);
}

AxisRows::AxisRows(hdf5::File opened, const std::string& name, hdf5::Dataset dataset, int axis)
    : StoredRows(std::move(opened), name), dataset_(std::move(dataset)), axis_(axis) {
  watch(dataset_);
  require_rows_of_numbers(dataset_);
  facts_ = facts_of_rows(dataset_, axis_);
}

void AxisRows::read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const {
  const size_t row_bytes = static_cast<size_t>(facts_.shape.elements()) * size_of(dtype);
  for (const hdf5::RowRun& run : runs) {
    read_along(dataset_, axis_, run.first, run.count, dtype, out);
    out += static_cast<size_t>(run.count) * row_bytes;
  }
}

}  // namespace lockstep
