#include "io/hdf5/chunk_reader.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "io/hdf5/crash_report.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::hdf5 {

namespace {

hsize_t product(const std::vector<hsize_t>& extents) {
  hsize_t result = 1;
  for (const hsize_t extent : extents) result *= extent;
  return result;
}

/// Reads the stored bytes of a chunk into `out`, whose size is that given by the index.
bool read_stored(hid_t dataset, const std::vector<hsize_t>& offset, uint32_t& skipped,
                 std::span<std::byte> out) {
#if H5_VERSION_GE(2, 0, 0)
  size_t bytes = out.size();
  return H5Dread_chunk2(dataset, H5P_DEFAULT, offset.data(), &skipped, out.data(), &bytes) >= 0;
#else
  return H5Dread_chunk(dataset, H5P_DEFAULT, offset.data(), &skipped, out.data()) >= 0;
#endif
}

}  // namespace

size_t chunk_bytes(const Dataset& dataset) {
  constexpr double kMaxBytes = 0x1p32;
  double bytes = static_cast<double>(dataset.type().bytes);
  for (const int64_t extent : dataset.chunk()) bytes *= static_cast<double>(extent);
  if (!(bytes > 0 && bytes < kMaxBytes))
    fail(ExitCode::data, "{} is damaged: its chunks claim {:.4g} bytes, and HDF5's are smaller than 4 GiB.",
         dataset.where(), bytes);
  return static_cast<size_t>(bytes);
}

hsize_t stored_chunk_bytes(const Dataset& dataset, const std::vector<hsize_t>& offset) {
  const Lock lock;
  hsize_t bytes = 0;
  if (H5Dget_chunk_storage_size(dataset.id(), offset.data(), &bytes) >= 0) return bytes;
  // An error in libhdf5 1.10, but not in later versions.
  const std::string reason = last_error();
  if (reason.find("not allocated") != std::string::npos) return 0;
  fail(ExitCode::data, "{}: the index of its chunks is damaged: {}.", dataset.where(), reason);
}

ChunkReader::ChunkReader(const Dataset& dataset)
    : dataset_(dataset),
      element_bytes_(dataset.type().bytes),
      extents_(dataset.extents().begin(), dataset.extents().end()),
      chunk_(dataset.chunk().begin(), dataset.chunk().end()) {
  INVARIANT(dataset.pipeline() != nullptr, "{}", dataset.where());
}

void ChunkReader::fail_at(const std::vector<hsize_t>& offset, const std::string& what) const {
  fail(ExitCode::data,
       "{}: rows {} to {} cannot be read: the chunk at ({}) is damaged: {}. Copy or download the file again, "
       "or "
       "recreate it.",
       dataset_.where(), offset[0], std::min(offset[0] + chunk_[0], extents_[0]) - 1, fmt::join(offset, ", "),
       what);
}

bool ChunkReader::is_stored_raw(const std::vector<hsize_t>& offset) const {
  bool is_partial = false;
  for (size_t axis = 0; axis < offset.size(); ++axis)
    is_partial = is_partial || offset[axis] + chunk_[axis] > extents_[axis];
  if (!is_partial) return false;
  const Lock lock;
  const Id properties(H5Dget_create_plist(dataset_.id()));
  unsigned options = 0;
  return H5Pget_chunk_opts(properties.get(), &options) >= 0 &&
         (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0;
}

const std::byte* ChunkReader::decode(const std::vector<hsize_t>& offset) {
  const filters::Pipeline& pipeline = *dataset_.pipeline();
  std::span<std::byte> stored;
  uint32_t skipped = 0;
  {
    const Lock lock;
    const InsideLibhdf5 inside(dataset_.file().c_str(), dataset_.name().c_str());
    const hsize_t bytes = stored_chunk_bytes(dataset_, offset);
    if (bytes > pipeline.max_stored_bytes())
      fail_at(offset, fmt::format("it claims {} bytes in the file for {} bytes of values", bytes,
                                  pipeline.chunk_bytes()));
    stored = scratch_.stored.take(bytes);
    if (!read_stored(dataset_.id(), offset, skipped, stored)) {
      const std::string reason = last_error();
      if (bytes > 0) fail_at(offset, reason);
      return nullptr;
    }
  }
  try {
    if (is_stored_raw(offset)) skipped = UINT32_MAX;
    return pipeline.decode(stored, skipped, scratch_).data();
  } catch (const filters::BadChunk& e) {
    fail_at(offset, e.what());
  }
}

const std::byte* ChunkReader::values_of(const std::vector<hsize_t>& cell) {
  if (cell == cell_) return values_;
  cell_.clear();
  std::vector<hsize_t> offset(cell);
  for (size_t axis = 0; axis < offset.size(); ++axis) offset[axis] *= chunk_[axis];
  values_ = decode(offset);
  cell_ = cell;
  return values_;
}

std::vector<std::byte> ChunkReader::fill_value(DType dtype) const {
  std::vector<std::byte> value(size_of(dtype));
  const Lock lock;
  const Id properties(H5Dget_create_plist(dataset_.id()));
  H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
  if (H5Pfill_value_defined(properties.get(), &defined) < 0 ||
      (defined != H5D_FILL_VALUE_UNDEFINED &&
       H5Pget_fill_value(properties.get(), memory_type(dtype), value.data()) < 0))
    fail(ExitCode::data, "{} is damaged: its fill value cannot be read: {}.", dataset_.where(), last_error());
  return value;
}

void ChunkReader::read(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size, DType dtype,
                       std::byte* out) {
  read_into(start, size, dtype, out, {size, std::vector<hsize_t>(size.size(), 0)});
}

void ChunkReader::read_runs(std::span<const RowRun> runs, DType dtype, std::byte* out) {
  const size_t axes = extents_.size();
  std::vector<hsize_t> start(axes, 0), size(extents_), rows(extents_);
  rows[0] = 0;
  for (const RowRun& run : runs) rows[0] += static_cast<hsize_t>(run.count);
  Box target{rows, std::vector<hsize_t>(axes, 0)};
  // Band by band of chunks, and within a band chunk by chunk, with all parts of rows in that chunk.
  hsize_t row = 0;
  for (size_t begin = 0, end; begin < runs.size(); begin = end) {
    const auto band_of = [&](int64_t at) { return static_cast<hsize_t>(at) / chunk_[0]; };
    end = begin + 1;
    while (end < runs.size() && band_of(runs[end].first) == band_of(runs[begin].first)) ++end;
    std::vector<hsize_t> at(axes, 0);
    for (;;) {
      hsize_t to = row;
      for (const RowRun& run : runs.subspan(begin, end - begin)) {
        start[0] = static_cast<hsize_t>(run.first);
        size[0] = static_cast<hsize_t>(run.count);
        target.start[0] = to;
        to += size[0];
        for (size_t axis = 1; axis < axes; ++axis) {
          start[axis] = target.start[axis] = at[axis];
          size[axis] = std::min(chunk_[axis], extents_[axis] - at[axis]);
        }
        read_into(start, size, dtype, out, target);
      }
      size_t axis = axes;
      while (axis > 1 && (at[axis - 1] += chunk_[axis - 1]) >= extents_[axis - 1]) at[--axis] = 0;
      if (axis <= 1) {
        row = to;
        break;
      }
    }
  }
}

void ChunkReader::read_into(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size, DType dtype,
                            std::byte* out, const Box& place) {
  if (product(size) == 0) return;
  const size_t axes = size.size();
  bool is_stored_type = false;
  {
    const Lock lock;
    is_stored_type = H5Tequal(dataset_.type_id(), memory_type(dtype)) > 0;
  }
  const size_t out_bytes = size_of(dtype);
  std::vector<std::byte> fill;
  std::vector<hsize_t> first(axes), last(axes), cell(axes), count(axes);
  for (size_t axis = 0; axis < axes; ++axis) {
    first[axis] = start[axis] / chunk_[axis];
    last[axis] = (start[axis] + size[axis] - 1) / chunk_[axis];
  }
  cell = first;
  Box source{chunk_, std::vector<hsize_t>(axes)}, target(place);
  for (;;) {
    for (size_t axis = 0; axis < axes; ++axis) {
      const hsize_t corner = cell[axis] * chunk_[axis];
      const hsize_t from = std::max(start[axis], corner);
      count[axis] = std::min(start[axis] + size[axis], corner + chunk_[axis]) - from;
      source.start[axis] = from - corner;
      target.start[axis] = place.start[axis] + from - start[axis];
    }
    const std::byte* values = values_of(cell);
    if (values == nullptr) {
      if (fill.empty()) fill = fill_value(dtype);
      fill_box(fill.data(), out, target, count, out_bytes);
    } else if (is_stored_type) {
      copy_box(values, source, out, target, count, out_bytes);
    } else {
      const Box whole{count, std::vector<hsize_t>(axes, 0)};
      const hsize_t elements = product(count);
      const auto converted = converted_.take(elements * std::max(element_bytes_, out_bytes));
      copy_box(values, source, converted.data(), whole, count, element_bytes_);
      {
        const Lock lock;
        if (H5Tconvert(dataset_.type_id(), memory_type(dtype), elements, converted.data(), nullptr,
                       H5P_DEFAULT) < 0)
          fail(ExitCode::data, "{}: its values cannot be converted to {}: {}.", dataset_.where(),
               to_string(dtype), last_error());
      }
      copy_box(converted.data(), whole, out, target, count, out_bytes);
    }
    size_t axis = axes;
    while (axis > 0 && ++cell[axis - 1] > last[axis - 1]) {
      --axis;
      cell[axis] = first[axis];
    }
    if (axis == 0) return;
  }
}

}  // namespace lockstep::hdf5
