#include "io/hdf5/chunks/chunk_reader.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/crash_report.h"
#include "io/hdf5/elements/heap_reader.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::hdf5 {

namespace {

hsize_t product(const std::vector<hsize_t>& extents) {
  hsize_t result = 1;
  for (const hsize_t extent : extents) result *= extent;
  return result;
}

/// Whether chunks are filtered even if they reach beyond the extents, which a writer may choose.
bool are_edges_filtered(const Dataset& dataset) {
  const Lock lock;
  const Id properties(H5Dget_create_plist(dataset.id()));
  unsigned options = 0;
  return H5Pget_chunk_opts(properties.get(), &options) < 0 ||
         (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) == 0;
}

}  // namespace

ChunkReader::ChunkReader(const Dataset& dataset)
    : dataset_(dataset),
      element_bytes_(dataset.type().bytes),
      extents_(dataset.extents().begin(), dataset.extents().end()),
      chunk_(dataset.chunk().begin(), dataset.chunk().end()) {
  INVARIANT(!dataset.is_read_by_libhdf5(), "{}", dataset.where());
  if (chunk_.empty()) chunk_ = extents_;
}

void ChunkReader::deliver(std::optional<DType> dtype) {
  dtype_ = dtype;
  out_bytes_ = dtype ? size_of(*dtype) : element_bytes_;
  convert_ = dtype && dataset_.number() ? conversion(*dataset_.number(), *dtype) : nullptr;
}

void ChunkReader::fail_at(const Extents& offset, hsize_t first, hsize_t count,
                          const std::string& what) const {
  const std::string chunk =
      dataset_.chunk().empty() ? "" : fmt::format("the chunk at ({}) is damaged: ", fmt::join(offset, ", "));
  fail(ExitCode::data,
       "{}: rows {} to {} cannot be read: {}{}. Copy or download the file again, or recreate it.",
       dataset_.where(), first, first + count - 1, chunk, what);
}

ChunkReader::Extents ChunkReader::corner_of(const Extents& cell) const {
  Extents offset(cell);
  for (size_t axis = 0; axis < offset.size(); ++axis) offset[axis] *= chunk_[axis];
  return offset;
}

std::span<std::byte> ChunkReader::read_stored(const Extents& cell, const Extents& offset, uint32_t& skipped) {
  const size_t max_bytes = dataset_.pipeline()->max_stored_bytes();
  const auto room_for = [&](hsize_t bytes) {
    if (bytes > max_bytes)
      throw filters::BadChunk(fmt::format("it claims {} bytes in the file for {} bytes of values", bytes,
                                          dataset_.pipeline()->chunk_bytes()));
    return scratch_.stored.take(bytes);
  };
  if (const ChunkMap* map = dataset_.chunk_map()) {
    const ChunkPlace place = map->find(cell);
    const std::span<std::byte> stored = room_for(place.bytes);
    skipped = place.skipped;
    map->read(place, 0, stored);
    return stored;
  }
  const Lock lock;
  const InsideLibhdf5 inside(dataset_.file().c_str(), dataset_.name().c_str());
  const std::span<std::byte> stored = room_for(stored_chunk_bytes(dataset_.id(), offset, dataset_.where()));
  if (!stored.empty() && !read_stored_chunk(dataset_.id(), offset, skipped, stored.data(), stored.size()))
    throw filters::BadChunk(last_error());
  return stored;
}

const std::byte* ChunkReader::decode(const Extents& cell, const Extents& offset, std::span<std::byte> place) {
  uint32_t skipped = 0;
  const std::span<const std::byte> stored = read_stored(cell, offset, skipped);
  if (stored.empty()) return nullptr;
  bool is_edge = false;
  for (size_t axis = 0; axis < offset.size(); ++axis)
    is_edge = is_edge || offset[axis] + chunk_[axis] > extents_[axis];
  if (is_edge && !are_edges_filtered(dataset_)) skipped = UINT32_MAX;
  return dataset_.pipeline()->decode(stored, skipped, scratch_, place).data();
}

const std::byte* ChunkReader::values_of(const Extents& cell, std::span<std::byte> place) {
  if (cell == cell_) return values_;
  cell_.clear();
  const Extents offset = corner_of(cell);
  try {
    const std::byte* values = decode(cell, offset, place);
    if (values == nullptr || values != place.data()) {
      values_ = values;
      cell_ = cell;
    }
    return values;
  } catch (const filters::BadChunk& e) {
    fail_at(offset, offset[0], std::min(chunk_[0], extents_[0] - offset[0]), e.what());
  }
}

std::vector<std::byte> ChunkReader::fill_value() {
  std::vector<std::byte> stored(element_bytes_), value(out_bytes_);
  // A value of variable length would be given as an address in memory; an empty one is stored as zeros.
  if (!dtype_ && has_variable_length(dataset_.type_id())) return value;
  {
    const Lock lock;
    const Id properties(H5Dget_create_plist(dataset_.id()));
    H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
    if (H5Pfill_value_defined(properties.get(), &defined) < 0 ||
        (defined != H5D_FILL_VALUE_UNDEFINED &&
         H5Pget_fill_value(properties.get(), dataset_.type_id(), stored.data()) < 0))
      fail(ExitCode::data, "{} is damaged: its fill value cannot be read: {}.", dataset_.where(),
           last_error());
  }
  const Box one{{1}, {0}};
  put(stored.data(), one, value.data(), one, {1});
  return value;
}

void ChunkReader::read(const Extents& start, const Extents& size, std::optional<DType> dtype,
                       std::byte* out) {
  deliver(dtype);
  read_into(start, size, out, {size, Extents(size.size(), 0)});
}

void ChunkReader::read_runs(std::span<const RowRun> runs, std::optional<DType> dtype, std::byte* out) {
  deliver(dtype);
  const size_t axes = extents_.size();
  Extents start(axes, 0), size(extents_), rows(extents_);
  rows[0] = 0;
  for (const RowRun& run : runs) rows[0] += static_cast<hsize_t>(run.count);
  Box target{rows, Extents(axes, 0)};
  // Band by band of chunks, and within a band chunk by chunk, with all parts of rows in that chunk.
  hsize_t row = 0;
  for (size_t begin = 0, end; begin < runs.size(); begin = end) {
    const auto band_of = [&](int64_t at) { return static_cast<hsize_t>(at) / chunk_[0]; };
    end = begin + 1;
    while (end < runs.size() && band_of(runs[end].first) == band_of(runs[begin].first)) ++end;
    Extents at(axes, 0);
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
        read_into(start, size, out, target);
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

void ChunkReader::read_into(const Extents& start, const Extents& size, std::byte* out, const Box& place) {
  if (product(size) == 0) return;
  const size_t axes = size.size();
  std::vector<std::byte> fill;
  Extents first(axes), last(axes), cell(axes), count(axes);
  for (size_t axis = 0; axis < axes; ++axis) {
    first[axis] = start[axis] / chunk_[axis];
    last[axis] = (start[axis] + size[axis] - 1) / chunk_[axis];
  }
  cell = first;
  Box source{chunk_, Extents(axes)}, target(place);
  for (;;) {
    for (size_t axis = 0; axis < axes; ++axis) {
      const hsize_t corner = cell[axis] * chunk_[axis];
      const hsize_t from = std::max(start[axis], corner);
      count[axis] = std::min(start[axis] + size[axis], corner + chunk_[axis]) - from;
      source.start[axis] = from - corner;
      target.start[axis] = place.start[axis] + from - start[axis];
    }
    bool is_written = true;
    if (dataset_.pipeline() == nullptr) {
      is_written = read_plain(cell, source, out, target, count);
    } else {
      // A whole chunk that is delivered as it is stored is decoded where it belongs.
      std::span<std::byte> whole;
      if (count == chunk_ && dataset_.is_stored_as(dtype_) && is_one_run(source, target, count))
        whole = {out + offset_in(target) * out_bytes_, product(chunk_) * out_bytes_};
      const std::byte* values = values_of(cell, whole);
      is_written = values != nullptr;
      if (is_written && values != whole.data()) put(values, source, out, target, count);
    }
    if (!is_written) {
      if (fill.empty()) fill = fill_value();
      fill_box(fill.data(), out, target, count, out_bytes_);
    }
    size_t axis = axes;
    while (axis > 0 && ++cell[axis - 1] > last[axis - 1]) {
      --axis;
      cell[axis] = first[axis];
    }
    if (axis == 0) return;
  }
}

void ChunkReader::put(const std::byte* values, const Box& source, std::byte* out, const Box& target,
                      const Extents& size) {
  if (!dtype_) return copy_box(values, source, out, target, size, element_bytes_);
  if (convert_ != nullptr) {
    for_each_run(source, target, size, [&](hsize_t from, hsize_t to, hsize_t run) {
      convert_(values + from * element_bytes_, run, out + to * out_bytes_);
    });
    return;
  }
  const Box whole{size, Extents(size.size(), 0)};
  const hsize_t elements = product(size);
  const auto converted = converted_.take(elements * std::max(element_bytes_, out_bytes_));
  copy_box(values, source, converted.data(), whole, size, element_bytes_);
  {
    const Lock lock;
    if (H5Tconvert(dataset_.type_id(), memory_type(*dtype_), elements, converted.data(), nullptr,
                   H5P_DEFAULT) < 0)
      fail(ExitCode::data, "{}: its values cannot be converted to {}: {}.", dataset_.where(),
           to_string(*dtype_), last_error());
  }
  copy_box(converted.data(), whole, out, target, size, out_bytes_);
}

bool ChunkReader::read_plain(const Extents& cell, const Box& source, std::byte* out, const Box& target,
                             const Extents& size) {
  try {
    const ChunkPlace place = dataset_.chunk_map()->find(cell);
    if (place.bytes == 0) return false;
    if (place.bytes != product(chunk_) * element_bytes_)
      throw filters::BadChunk(
          fmt::format("it holds {} bytes instead of {}", place.bytes, product(chunk_) * element_bytes_));
    if (dataset_.is_stored_as(dtype_) && is_one_run(source, target, size))
      dataset_.chunk_map()->read(place, offset_in(source) * out_bytes_,
                                 {out + offset_in(target) * out_bytes_, product(size) * out_bytes_});
    else
      read_plain_from(0, place, source, out, target, size);
    return true;
  } catch (const filters::BadChunk& e) {
    const Extents offset = corner_of(cell);
    fail_at(offset, offset[0] + source.start[0], size[0], e.what());
  }
}

// Reads pieces of the file that hold as many whole indices along `axis` as fit, or if none does, or if most
// of an index is not wanted, the same of each index along the next axis. Along the axes before, `size` is 1.
void ChunkReader::read_plain_from(size_t axis, const ChunkPlace& place, const Box& source, std::byte* out,
                                  const Box& target, const Extents& size) {
  constexpr hsize_t kPieceBytes = hsize_t{1} << 20, kMinRunBytes = hsize_t{4} << 10;
  hsize_t index_bytes = element_bytes_, wanted_bytes = element_bytes_;
  for (size_t inner = axis + 1; inner < size.size(); ++inner) {
    index_bytes *= chunk_[inner];
    wanted_bytes *= size[inner];
  }
  // Reading a page costs as much as not reading a few.
  const bool is_sparse = wanted_bytes <= index_bytes / 2 && size.back() * element_bytes_ >= kMinRunBytes;
  const hsize_t at_once = is_sparse ? 0 : kPieceBytes / index_bytes;
  Box part = source, to = target;
  Extents part_size = size;
  for (hsize_t done = 0; done < size[axis]; done += part_size[axis]) {
    part.start[axis] = source.start[axis] + done;
    to.start[axis] = target.start[axis] + done;
    part_size[axis] = std::min(std::max<hsize_t>(at_once, 1), size[axis] - done);
    if (at_once == 0) {
      read_plain_from(axis + 1, place, part, out, to, part_size);
      continue;
    }
    // The piece as a box: what lies before it along the axes up to this one is not in it.
    Box piece = part;
    for (size_t outer = 0; outer <= axis; ++outer) piece.start[outer] = 0;
    for (size_t outer = 0; outer < axis; ++outer) piece.extents[outer] = 1;
    piece.extents[axis] = part_size[axis];
    Box corner = part;
    for (size_t inner = axis + 1; inner < size.size(); ++inner) corner.start[inner] = 0;
    const auto bytes = scratch_.stored.take(part_size[axis] * index_bytes);
    dataset_.chunk_map()->read(place, offset_in(corner) * element_bytes_, bytes);
    put(bytes.data(), piece, out, to, part_size);
  }
}

}  // namespace lockstep::hdf5
