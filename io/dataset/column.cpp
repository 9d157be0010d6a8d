#include "io/dataset/column.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "io/hdf5/chunk_reader.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep {

namespace {

constexpr int64_t kPieceBytes = int64_t{4} << 20;

/// Position of the first value whose exponent is all ones (NaN or infinity), or -1.
template <typename Word>
int64_t first_not_finite(const std::byte* bytes, int64_t count, Word exponent_mask) {
  const Word* words = reinterpret_cast<const Word*>(bytes);
  // In pieces, so that the loop without an exit vectorizes and the position is looked for once.
  for (int64_t begin = 0; begin < count; begin += 1024) {
    const int64_t end = std::min(count, begin + 1024);
    int bad = 0;
    for (int64_t i = begin; i < end; ++i) bad |= (words[i] & exponent_mask) == exponent_mask ? 1 : 0;
    if (bad == 0) continue;
    for (int64_t i = begin; i < end; ++i)
      if ((words[i] & exponent_mask) == exponent_mask) return i;
  }
  return -1;
}

/// Reads from files that must not change: says so when that is why it failed, or could have read something
/// else.
template <typename Read>
void read_watched(const WatchedFiles& files, Read read) {
  try {
    read();
  } catch (const Error&) {
    files.require_all_unchanged();
    throw;
  }
  files.require_unchanged();
}

/// Chunks that a row passes through.
double chunks_across(const hdf5::Dataset& dataset) {
  double count = 1;
  for (size_t axis = 1; axis < dataset.chunk().size(); ++axis)
    count *=
        static_cast<double>((dataset.extents()[axis] + dataset.chunk()[axis] - 1) / dataset.chunk()[axis]);
  return count;
}

}  // namespace

void require_rows_of_numbers(const hdf5::Dataset& dataset) {
  const auto& extents = dataset.extents();
  if (!dataset.has_data()) fail(ExitCode::data, "{} is a null data set: it has no values.", dataset.where());
  if (dataset.type().name == "string")
    fail(ExitCode::data,
         "{} holds text (strings); samples and targets must be numbers. If it names classes, store their "
         "numbers 0, 1, "
         "2, ... in its place.",
         dataset.where());
  if (dataset.type().name == "compound")
    fail(
        ExitCode::data,
        "{} is a table of rows with named columns (compound); samples and targets must be arrays of numbers. "
        "Write its columns as x and y: in Python, h5py and "
        "numpy.lib.recfunctions.structured_to_unstructured(rows[columns]) do so.",
        dataset.where());
  if (dataset.type().kind == hdf5::ElementType::Kind::other)
    fail(ExitCode::data,
         "{} holds values of type {}; samples and targets must be integers or floating-point numbers. Write "
         "them as one of these.",
         dataset.where(), dataset.type().name);
  if (dataset.type().bytes > 8)
    fail(ExitCode::data, "{} holds {}; numbers of more than 64 bits are not supported. Store it as float64.",
         dataset.where(), dataset.type().name);
  if (extents.empty())
    fail(ExitCode::data, "{} is a single number; it must be an array whose first axis counts the samples.",
         dataset.where());
  if (extents.size() > static_cast<size_t>(Shape::kMaxRank))
    fail(ExitCode::data, "{} has {} axes; at most {} are supported. Join some of them.", dataset.where(),
         extents.size(), Shape::kMaxRank);
  if (extents[0] == 0)
    fail(ExitCode::data, "{} has no samples: its shape is {}.", dataset.where(), to_string(Shape(extents)));
  if (dataset.elements() == 0)
    fail(ExitCode::data, "{} has samples without values: its shape is {}.", dataset.where(),
         to_string(Shape(extents)));
  dataset.require_filters();
}

void require_finite(const Column& column, const std::byte* rows, int64_t first, int64_t count) {
  const int64_t row_values = column.row_shape().elements();
  int64_t at = -1;
  switch (column.dtype()) {
    case DType::f16:
      at = first_not_finite<uint16_t>(rows, count * row_values, 0x7C00);
      break;
    case DType::f32:
      at = first_not_finite<uint32_t>(rows, count * row_values, 0x7F800000u);
      break;
    case DType::f64:
      at = first_not_finite<uint64_t>(rows, count * row_values, 0x7FF0000000000000ull);
      break;
    default:
      return;
  }
  if (at >= 0)
    fail(ExitCode::data,
         "{} holds NaN or infinity (value {} of the sample). Remove or repair such samples: training on them "
         "never "
         "recovers.",
         column.where(first + at / row_values), at % row_values);
}

Column::Column(const std::vector<std::string>& files, const std::string& name) : name_(name) {
  INVARIANT(!files.empty(), "a data source without files");
  const hdf5::Lock lock;
  for (const std::string& path : files) {
    Part part;
    part.path = path;
    part.file = std::make_unique<hdf5::File>(hdf5::File::open(path));
    // Blocks are cached here, above the library's lock, so that its own cache of chunks would only double
    // them.
    part.dataset = std::make_unique<hdf5::Dataset>(part.file->dataset(name, 0));
    const hdf5::Sources sources = hdf5::require_sources(*part.dataset);
    part.descriptors = sources.descriptors;
    part.watched = std::make_unique<WatchedFiles>(sources.files);
    require_rows_of_numbers(*part.dataset);
    const Shape shape(part.dataset->extents());
    const hdf5::ElementType& type = part.dataset->type();
    if (parts_.empty()) {
      row_shape_ = shape.sample();
      stored_ = type;
    } else if (!(shape.sample() == row_shape_)) {
      fail(ExitCode::data,
           "{} has samples of shape {}, but those of {} have {}. All files of a data set must agree.",
           part.dataset->where(), to_string(shape.sample()), parts_[0].path, to_string(row_shape_));
    } else if (type.kind != stored_.kind || type.bytes != stored_.bytes ||
               type.is_signed != stored_.is_signed) {
      fail(ExitCode::data, "{} holds {}, but {} holds {}. All files of a data set must agree.",
           part.dataset->where(), type.name, parts_[0].path, stored_.name);
    }
    part.first = rows_;
    part.rows = shape[0];
    if (part.rows > (INT64_MAX >> 4) - rows_)
      fail(ExitCode::data, "{} claims too many samples.", part.dataset->where());
    rows_ += part.rows;
    parts_.push_back(std::move(part));
  }
}

DType Column::natural_dtype() const {
  if (stored_.exact == DType::u8 || stored_.exact == DType::f16 || stored_.exact == DType::f32 ||
      stored_.exact == DType::f64)
    return *stored_.exact;
  return stored_.kind == hdf5::ElementType::Kind::floating && stored_.bytes > 4 ? DType::f64 : DType::f32;
}

void Column::give_out(DType dtype, Check check) {
  dtype_ = dtype;
  row_bytes_ = static_cast<size_t>(row_shape_.elements()) * size_of(dtype);
  check_ = std::move(check);
}

void Column::load() {
  memory_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(rows_) * row_bytes_);
  for (Part& part : parts_) {
    // Pieces end where chunks end, so that no chunk is decompressed twice.
    const int64_t chunk_rows = part.dataset->chunk().empty() ? 1 : part.dataset->chunk()[0];
    const int64_t piece = (kPieceBytes / static_cast<int64_t>(row_bytes_) / chunk_rows + 1) * chunk_rows;
    for (int64_t first = 0; first < part.rows; first += piece) {
      const int64_t count = std::min(piece, part.rows - first);
      std::byte* rows = memory_.get() + static_cast<size_t>(part.first + first) * row_bytes_;
      part.dataset->read_rows(first, count, dtype_, rows);
      if (check_) check_(*this, rows, part.first + first, count);
    }
    part.watched->require_all_unchanged();
    part.dataset.reset();
    part.file.reset();
  }
}

void Column::stream(int64_t cache_bytes) {
  cache_ = std::make_unique<BlockCache>(cache_bytes);
  for (Part& part : parts_) {
    const auto& chunk = part.dataset->chunk();
    // Without filters any row can be read alone.
    if (chunk.empty() || part.dataset->filters().empty()) continue;
    // A block of one chunk is kept even if it alone is more than the cache holds: decoding takes its memory
    // anyway. One of many chunks may be the whole data set, when each chunk holds a few values of every row.
    const int64_t block_rows = std::min(chunk[0], part.rows);
    if (chunks_across(*part.dataset) == 1 || block_rows <= cache_bytes / static_cast<int64_t>(row_bytes_))
      part.block_rows = block_rows;
    decoded_bytes_per_row_ = std::max(decoded_bytes_per_row_, decoded_bytes_per_row(part, cache_bytes));
  }
}

double Column::decoded_bytes_per_row(const Part& part, int64_t cache_bytes) const {
  constexpr double kRowsAtOnce = 32;
  const hdf5::Dataset& dataset = *part.dataset;
  const double block = chunks_across(dataset) * static_cast<double>(hdf5::chunk_bytes(dataset));
  const auto blocks = static_cast<double>((part.rows + dataset.chunk()[0] - 1) / dataset.chunk()[0]);
  double kept = 0;
  if (part.block_rows > 0) {
    const double memory = static_cast<double>(part.block_rows) * static_cast<double>(row_bytes_);
    kept = std::min(blocks, std::max(1.0, std::floor(static_cast<double>(cache_bytes) / memory)));
  }
  // Rows read at once fall into this many blocks at most.
  const double touched = std::min(blocks, kRowsAtOnce);
  return block * (1 - kept / blocks) * touched / kRowsAtOnce;
}

const Column::Part& Column::part_of(int64_t row) const {
  const auto next = std::upper_bound(parts_.begin(), parts_.end(), row,
                                     [](int64_t wanted, const Part& part) { return wanted < part.first; });
  return *std::prev(next);
}

std::string Column::where(int64_t row) const {
  const Part& part = part_of(row);
  return fmt::format("{}:{}: sample {}", part.path, name_, row - part.first);
}

void Column::read(std::span<const int64_t> indices, std::byte* out) const {
  for (const int64_t index : indices) INVARIANT(index >= 0 && index < rows_, "sample {} of {}", index, rows_);
  if (memory_) {
    for (size_t i = 0; i < indices.size(); ++i)
      std::memcpy(out + i * row_bytes_, memory_.get() + static_cast<size_t>(indices[i]) * row_bytes_,
                  row_bytes_);
    return;
  }
  // In the order of the files: each block is needed once, and neighbours are read together.
  std::vector<uint32_t> order(indices.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return indices[a] < indices[b]; });
  for (size_t begin = 0; begin < order.size();) {
    const Part& part = part_of(indices[order[begin]]);
    size_t end = begin + 1;
    while (end < order.size() && indices[order[end]] < part.first + part.rows) ++end;
    const auto share = std::span<const uint32_t>(order).subspan(begin, end - begin);
    read_watched(*part.watched, [&] {
      if (part.block_rows > 0)
        stream_blocks(part, share, indices, out);
      else
        stream_runs(part, share, indices, out);
    });
    begin = end;
  }
}

BlockCache::Block Column::read_block(const Part& part, int64_t first, int64_t count) const {
  auto block = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(count) * row_bytes_);
  part.dataset->read_rows(first, count, dtype_, block->data());
  if (check_) check_(*this, block->data(), part.first + first, count);
  return block;
}

void Column::stream_blocks(const Part& part, std::span<const uint32_t> order,
                           std::span<const int64_t> indices, std::byte* out) const {
  const auto block_of = [&](uint32_t slot) {
    return (indices[slot] - part.first) / part.block_rows * part.block_rows;
  };
  const auto copy_rows = [&](std::span<const uint32_t> slots, int64_t first,
                             const std::vector<std::byte>& block) {
    for (const uint32_t slot : slots) {
      const size_t row = static_cast<size_t>(indices[slot] - part.first - first);
      std::memcpy(out + slot * row_bytes_, block.data() + row * row_bytes_, row_bytes_);
    }
  };
  // Blocks in the cache come first: in the order of the file each new one would push out the one needed next.
  std::vector<std::span<const uint32_t>> missing;
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    const int64_t first = block_of(order[begin]);
    end = begin + 1;
    while (end < order.size() && block_of(order[end]) == first) ++end;
    const auto slots = order.subspan(begin, end - begin);
    if (const BlockCache::Block block = cache_->find(part.first + first))
      copy_rows(slots, first, *block);
    else
      missing.push_back(slots);
  }
  for (const auto slots : missing) {
    const int64_t first = block_of(slots[0]);
    const BlockCache::Block block = read_block(part, first, std::min(part.block_rows, part.rows - first));
    cache_->insert(part.first + first, block);
    copy_rows(slots, first, *block);
  }
}

void Column::stream_runs(const Part& part, std::span<const uint32_t> order, std::span<const int64_t> indices,
                         std::byte* out) const {
  std::vector<hdf5::RowRun> runs;
  int64_t rows = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t row = indices[order[i]] - part.first;
    if (i > 0 && row == indices[order[i - 1]] - part.first) continue;
    if (i > 0 && row == runs.back().first + runs.back().count)
      ++runs.back().count;
    else
      runs.push_back({row, 1});
    ++rows;
  }
  const auto found = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(rows) * row_bytes_);
  part.dataset->read_runs(runs, dtype_, found.get());
  const std::byte* at = found.get();
  for (const hdf5::RowRun& run : runs) {
    if (check_) check_(*this, at, part.first + run.first, run.count);
    at += static_cast<size_t>(run.count) * row_bytes_;
  }
  size_t position = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && indices[order[i]] != indices[order[i - 1]]) ++position;
    std::memcpy(out + order[i] * row_bytes_, found.get() + position * row_bytes_, row_bytes_);
  }
}

void Column::for_each_piece(DType dtype,
                            const std::function<void(const std::byte*, int64_t, int64_t)>& visit) const {
  const int64_t bytes = row_shape_.elements() * static_cast<int64_t>(size_of(dtype));
  for (const Part& part : parts_) {
    const int64_t chunk_rows = part.dataset->chunk().empty() ? 1 : part.dataset->chunk()[0];
    const int64_t piece = std::min((kPieceBytes / bytes / chunk_rows + 1) * chunk_rows, part.rows);
    std::vector<std::byte> rows(static_cast<size_t>(piece * bytes));
    for (int64_t first = 0; first < part.rows; first += piece) {
      const int64_t count = std::min(piece, part.rows - first);
      part.dataset->read_rows(first, count, dtype, rows.data());
      visit(rows.data(), part.first + first, count);
    }
    part.watched->require_all_unchanged();
  }
}

}  // namespace lockstep
