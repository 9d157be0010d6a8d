#include "io/dataset/column.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "io/dataset/dataset.h"
#include "io/dataset/layouts/sequence_rows.h"
#include "io/dataset/rows/block_cache.h"
#include "io/dataset/rows/contiguous_rows.h"
#include "io/dataset/rows/joined_rows.h"
#include "io/dataset/rows/memory_rows.h"
#include "src/core/counted.h"

namespace lockstep {

Column::Column(const std::vector<std::string>& files, const std::string& name, const RowLayout& given,
               const RowSlice& slice)
    : name_(name), names_(given.names) {
  INVARIANT(!files.empty(), "a data source without files");
  const hdf5::Lock lock;
  RowLayout layout = given;
  // Sequences are padded to the longest one of all files.
  if (layout.length == 0 && files.size() > 1) layout.length = longest_sequence(files, name);
  for (const std::string& path : files) {
    std::unique_ptr<StoredRows> stored = open_rows(path, name, layout);
    const std::string where = stored->where();
    const Shape& shape = stored->facts().shape;
    const hdf5::ElementType& type = stored->facts().type;
    if (parts_.empty()) {
      row_shape_ = shape;
      stored_ = type;
      notes_ = stored->notes();
      has_channels_ = stored->facts().has_channels;
    } else if (!(shape == row_shape_)) {
      fail(ExitCode::data,
           "{} has samples of shape {}, but those of {} have {}. All files of a data set must agree.", where,
           to_string(shape), parts_[0].path, to_string(row_shape_));
    } else if (type.kind != stored_.kind || type.bytes != stored_.bytes ||
               type.is_signed != stored_.is_signed) {
      fail(ExitCode::data, "{} holds {}, but {} holds {}. All files of a data set must agree.", where,
           type.name, parts_[0].path, stored_.name);
    }
    is_padded_ = is_padded_ || stored->facts().is_padded;
    const int64_t rows = stored->rows();
    if (rows > (INT64_MAX >> 4) - rows_) fail(ExitCode::data, "{} claims too many samples.", where);
    parts_.push_back({.path = path, .first = rows_, .rows = rows, .stored = std::move(stored)});
    rows_ += rows;
  }
  if (!slice.is_all()) keep(slice);
  for (const Part& part : parts_) {
    const int64_t block_rows = part.stored->facts().block_rows, behind = part.skipped % block_rows;
    const int64_t partial = behind == 0 ? 0 : std::min(block_rows - behind, part.rows);
    if (partial > 0) blocks_.append(partial, partial);
    if (part.rows > partial) blocks_.append(part.rows - partial, block_rows);
    aligned_ = aligned_ && partial == 0;
  }
}

void Column::keep(const RowSlice& slice) {
  const RowRange kept = slice.of(
      rows_, fmt::format("{}{}", parts_[0].stored->where(),
                         files() > 1 ? fmt::format(" with {}", counted(files() - 1, "more file")) : ""));
  std::vector<Part> parts;
  rows_ = 0;
  for (Part& part : parts_) {
    const int64_t first = std::max(part.first, kept.first),
                  end = std::min(part.first + part.rows, kept.first + kept.count);
    if (first >= end) continue;
    parts.push_back({.path = part.path,
                     .first = rows_,
                     .rows = end - first,
                     .stored = std::move(part.stored),
                     .skipped = first - part.first});
    rows_ += end - first;
  }
  parts_ = std::move(parts);
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

RowFormat Column::format_of(const Part& part) const {
  RowFormat format{dtype_, row_bytes_, nullptr};
  if (check_)
    format.check = [this, used = RowRange{part.skipped, part.rows}, before = part.first - part.skipped](
                       const std::byte* rows, int64_t first, int64_t count) {
      // A block may also hold rows that are left out, good or bad.
      const int64_t begin = std::max(first, used.first),
                    end = std::min(first + count, used.first + used.count);
      if (begin < end)
        check_(*this, rows + static_cast<size_t>(begin - first) * row_bytes_, before + begin, end - begin);
    };
  return format;
}

void Column::keep_places(const hdf5::PlacesFolder& folder, const MachineMemory* machine) {
  for (const Part& part : parts_) part.stored->keep_places(folder, machine);
}

void Column::load(const MachineMemory* machine) {
  auto memory = std::make_unique<MemoryRows>(rows_, row_bytes_, machine);
  for (Part& part : parts_) {
    if (is_padded_)
      std::ranges::copy(lengths_in(part, part.skipped, part.rows), std::back_inserter(lengths_));
    memory->append(*part.stored, {part.skipped, part.rows}, format_of(part));
    part.stored.reset();
  }
  memory->finish();
  shared_by_ = memory->shared_by();
  source_ = std::move(memory);
  in_memory_ = true;
}

int64_t Column::key_of_first_block(const Part& part) const {
  return blocks_.block_of(part.first) - part.skipped / part.stored->facts().block_rows;
}

void Column::stream(int64_t cache_bytes, const MachineMemory* machine, int readers) {
  const auto cache = std::make_shared<BlockCache>(cache_bytes, readers);
  auto joined = std::make_unique<JoinedRows>();
  for (Part& part : parts_) {
    auto source = stream_rows(*part.stored, format_of(part), cache, key_of_first_block(part));
    part.blocks = source->has_blocks() ? source.get() : nullptr;
    joined->append(std::move(source), part.rows, part.skipped);
  }
  cache->allocate(machine);
  if (cache->slots() > 0) cache_ = cache;
  source_ = std::move(joined);
}

std::unique_ptr<Expectation> Column::expect(ReadingOrder order) const {
  if (!cache_) return nullptr;
  return cache_->expect(
      std::move(order),
      [this](int64_t row) { return part_of(row).blocks != nullptr ? blocks_.block_of(row) : -1; },
      [this](int64_t block, std::span<std::byte> memory) {
        const int64_t row = blocks_.rows_of(block).first;
        const Part& part = part_of(row);
        part.blocks->make_block(row - part.first + part.skipped, memory);
      });
}

StoredSamples Column::stored_samples() const {
  StoredSamples samples{.block = blocks_.most_rows(),
                        .aligned = aligned_,
                        .sample_bytes = static_cast<double>(row_bytes_),
                        .decoded_bytes = decoded_bytes_per_row()};
  for (const Part& part : parts_) samples.parts.push_back(part.rows);
  return samples;
}

const Column::Part& Column::part_of(int64_t row) const {
  const auto next = std::upper_bound(parts_.begin(), parts_.end(), row,
                                     [](int64_t wanted, const Part& part) { return wanted < part.first; });
  return *std::prev(next);
}

std::string Column::where(int64_t row) const {
  const Part& part = part_of(row);
  return fmt::format("{}:{}: sample {}", part.path, name_, row - part.first + part.skipped);
}

std::vector<StoredRun> Column::stored_runs() const {
  std::vector<StoredRun> runs;
  for (const Part& part : parts_) {
    if (in_memory_ || !ContiguousRows::fits(*part.stored, dtype_)) return {};
    const hdf5::Dataset& dataset = *part.stored->plain();
    const hdf5::ChunkMap& map = *dataset.chunk_map();
    if (map.descriptor() < 0) return {};
    const auto offset =
        static_cast<int64_t>(map.find({}).address) + part.skipped * static_cast<int64_t>(row_bytes_);
    runs.push_back(
        {part.first, part.rows, map.descriptor(), offset, dataset.file(), dataset.name(), part.skipped});
  }
  return runs;
}

void Column::require_unchanged(int64_t row) const {
  part_of(row).stored->read_unchanged([] {});
}

void Column::read(std::span<const int64_t> indices, std::byte* out) const {
  std::vector<RowRequest> wanted(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    INVARIANT(indices[i] >= 0 && indices[i] < rows_, "sample {} of {}", indices[i], rows_);
    wanted[i] = {indices[i], out + i * row_bytes_};
  }
  source_->read(wanted);
}

std::vector<int64_t> Column::lengths_in(const Part& part, int64_t first, int64_t count) const {
  std::vector<int64_t> lengths = part.stored->lengths_of(first, count);
  // Another file has shorter ones.
  if (lengths.empty()) lengths.assign(static_cast<size_t>(count), row_shape_.elements());
  return lengths;
}

std::vector<int64_t> Column::lengths(std::span<const int64_t> indices) const {
  std::vector<int64_t> lengths;
  if (!is_padded_) return lengths;
  for (size_t i = 0, end = 0; i < indices.size(); i = end) {
    end = i + 1;
    if (in_memory_) {
      lengths.push_back(lengths_[static_cast<size_t>(indices[i])]);
      continue;
    }
    const Part& part = part_of(indices[i]);
    while (end < indices.size() && indices[end] == indices[end - 1] + 1 &&
           indices[end] < part.first + part.rows)
      ++end;
    std::ranges::copy(lengths_in(part, indices[i] - part.first + part.skipped, static_cast<int64_t>(end - i)),
                      std::back_inserter(lengths));
  }
  return lengths;
}

void Column::for_each_piece(DType dtype, const std::function<void(const std::byte*, int64_t, int64_t)>& visit,
                            int64_t max_rows) const {
  const int64_t bytes = row_shape_.elements() * static_cast<int64_t>(size_of(dtype));
  for (const Part& part : parts_) {
    const int64_t piece = std::min(part.stored->rows_of_a_piece(static_cast<size_t>(bytes)), part.rows);
    std::vector<std::byte> rows(static_cast<size_t>(piece * bytes));
    for (int64_t first = 0; first < part.rows; first += piece) {
      const int64_t count = std::min(piece, part.rows - first);
      part.stored->read_rows(part.skipped + first, count, dtype, rows.data());
      visit(rows.data(), part.first + first, count);
      if (part.first + first + count >= max_rows) return;
    }
    part.stored->require_all_unchanged();
  }
}

}  // namespace lockstep
