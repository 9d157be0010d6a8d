#include "io/hdf5/chunks/chunk_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <utility>

#include "io/file/kept_file.h"
#include "io/file/read_at.h"
#include "io/hdf5/chunks/chunk_bytes.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/crash_report.h"
#include "io/hdf5/filters/filters.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/sources/raw_files.h"
#include "src/core/hash.h"

namespace lockstep::hdf5 {

namespace {

constexpr uint64_t kUnwritten = ChunkEntry::kUnwritten;
constexpr double kMaxEntries = 0x1p26;

/// Whether chunks are of a possible size. Of chunks without filters, a damaged header may claim any.
bool has_possible_chunks(const Dataset& dataset) {
  double bytes = static_cast<double>(dataset.type().bytes);
  for (const int64_t extent : dataset.chunk()) bytes *= static_cast<double>(extent);
  return bytes > 0 && bytes <= UINT32_MAX;
}

}  // namespace

std::shared_ptr<ChunkMap> ChunkMap::of(const Dataset& dataset) {
  const bool is_external = dataset.layout() == "external";
  const bool is_contiguous = dataset.layout() == "contiguous" || is_external;
  if ((dataset.layout() != "chunked" && !is_contiguous) || dataset.elements() == 0 ||
      dataset.extents().empty())
    return nullptr;
  if (!is_contiguous && !has_possible_chunks(dataset)) return nullptr;
  const int descriptor = descriptor_of(dataset.id());
  std::shared_ptr<const FileParts> family = family_of(dataset.id());
  if (descriptor < 0 && !family) return nullptr;
  if (!is_contiguous) return std::make_shared<ChunkMap>(dataset, descriptor, std::nullopt, std::move(family));
  const int64_t bytes = dataset.elements() * static_cast<int64_t>(dataset.type().bytes);
  if (is_external) {
    std::shared_ptr<const FileParts> parts = open_raw_files(dataset);
    const ChunkPlace values{0, static_cast<uint64_t>(bytes), 0};
    return parts ? std::make_shared<ChunkMap>(dataset, descriptor, values, std::move(parts)) : nullptr;
  }
  const int64_t offset = dataset.offset();
  // A damaged header may promise more values than it has room for.
  if (offset < 0 || dataset.stored_bytes() != bytes || offset > INT64_MAX - bytes) return nullptr;
  const ChunkPlace place{static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes), 0};
  return std::make_shared<ChunkMap>(dataset, descriptor, place, std::move(family));
}

ChunkMap::ChunkMap(const Dataset& dataset, int descriptor, std::optional<ChunkPlace> place,
                   std::shared_ptr<const FileParts> parts)
    : dataset_(dataset.id()),
      file_(dataset.file()),
      name_(dataset.name()),
      descriptor_(descriptor),
      parts_(std::move(parts)),
      copy_(kept_file(descriptor)),
      contiguous_(place) {
  if (contiguous_) return;
  double entries = 1;
  for (size_t axis = 0; axis < dataset.chunk().size(); ++axis) {
    chunk_.push_back(static_cast<hsize_t>(dataset.chunk()[axis]));
    cells_.push_back((static_cast<hsize_t>(dataset.extents()[axis]) + chunk_[axis] - 1) / chunk_[axis]);
    entries *= static_cast<double>(cells_[axis]);
  }
  if (entries > kMaxEntries) return;
  table_.reset(static_cast<ChunkEntry*>(std::calloc(static_cast<size_t>(entries), sizeof(ChunkEntry))),
               std::free);
  if (table_) entries_ = static_cast<size_t>(entries);
}

PlacesOwner ChunkMap::owner() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) return {};
  const auto nanoseconds = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  StreamingHash hash;
  hash.update(std::as_bytes(std::span(name_)));
  hash.update(std::as_bytes(std::span(chunk_)));
  hash.update(std::as_bytes(std::span(cells_)));
  return {.inode = status.st_ino,
          .bytes = status.st_size,
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim),
          .data_set = hash.digest(),
          .entries = entries_};
}

void ChunkMap::keep(const PlacesFolder& folder, std::shared_ptr<std::byte[]> memory, bool loads) {
  INVARIANT(is_large(), "{} chunks", entries_);
  if (memory) table_ = {memory, reinterpret_cast<ChunkEntry*>(memory.get())};
  // Whether a later run finds the same file is told by its one descriptor.
  if (folder.path.empty() || parts_) return;
  const std::string path =
      fmt::format("{}/{:016x}.places", folder.path, hash_name(fmt::format("{}:{}", file_, name_)));
  places_owner_ = owner();
  if (loads && read_places(path, places_owner_, {table_.get(), entries_})) known_before_ = count_known();
  if (folder.saves) places_path_ = path;
}

size_t ChunkMap::count_known() const {
  size_t known = 0;
  for (size_t i = 0; i < entries_; ++i) known += known_entry(table_[i]).address != 0 ? 1 : 0;
  return known;
}

ChunkMap::~ChunkMap() {
  // A file that has few of many places would hardly be faster to read than to be found again.
  constexpr size_t kWorthFraction = 16;
  if (places_path_.empty()) return;
  const size_t fresh = count_known() - known_before_;
  if (fresh < kManyEntries / 2 || fresh < entries_ / kWorthFraction) return;
  try {
    const std::filesystem::path folder = std::filesystem::path(places_path_).parent_path();
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder.parent_path(), ignored)) return;
    std::filesystem::create_directory(folder, ignored);
    write_places(places_path_, places_owner_, {table_.get(), entries_});
  } catch (const std::exception&) {
  }
}

ChunkPlace ChunkMap::find(const std::vector<hsize_t>& cell) const {
  if (contiguous_) return *contiguous_;
  if (!table_) return look_up(cell);
  size_t index = 0;
  for (size_t axis = 0; axis < cell.size(); ++axis) index = index * cells_[axis] + cell[axis];
  ChunkEntry& entry = table_[index];
  const auto known = [&] {
    const ChunkEntry found = known_entry(entry);
    return ChunkPlace{found.address, found.bytes, found.skipped};
  };
  if (const ChunkPlace place = known(); place.address != 0) return place;
  const Lock lock;
  // Another thread may have been faster.
  if (const ChunkPlace place = known(); place.address != 0) return place;
  const ChunkPlace place = look_up(cell);
  // Another process may set the same values at the same time.
  set_entry(entry, {place.address, static_cast<uint32_t>(place.bytes), place.skipped});
  if (is_large()) look_up_beside(index);
  return place;
}

/// In random order, most of the time of a search goes into reading the node of the index that holds the
/// place: those beside it are found in a tenth of that.
void ChunkMap::look_up_beside(size_t index) const {
  constexpr size_t kTogether = 16;
  const size_t first = index / kTogether * kTogether;
  std::vector<hsize_t> cell(cells_.size());
  for (size_t other = first; other < std::min(first + kTogether, entries_); ++other) {
    if (known_entry(table_[other]).address != 0) continue;
    size_t rest = other;
    for (size_t axis = cell.size(); axis-- > 0; rest /= cells_[axis]) cell[axis] = rest % cells_[axis];
    try {
      const ChunkPlace place = look_up(cell);
      set_entry(table_[other], {place.address, static_cast<uint32_t>(place.bytes), place.skipped});
    } catch (const std::exception&) {
      // Whoever needs it will say what is wrong.
    }
  }
}

ChunkPlace ChunkMap::look_up(const std::vector<hsize_t>& cell) const {
  std::vector<hsize_t> offset(cell);
  for (size_t axis = 0; axis < offset.size(); ++axis) offset[axis] *= chunk_[axis];
  const Lock lock;
  const InsideLibhdf5 inside(file_.c_str(), name_.c_str());
  ChunkPlace place;
  std::string reason;
  {
    Locating located;
    std::byte untouched{};
    if (read_stored_chunk(dataset_, offset, place.skipped, &untouched, SIZE_MAX)) {
      if (located.reads() != 1 || located.address() <= kUnwritten || located.bytes() == 0 ||
          located.bytes() > UINT32_MAX)
        throw filters::BadChunk(
            fmt::format("the index puts its {} bytes at {}", located.bytes(), located.address()));
      place.address = located.address();
      place.bytes = located.bytes();
      return place;
    }
    reason = last_error();
  }
  if (stored_chunk_bytes(dataset_, offset, file_ + ":" + name_) > 0) throw filters::BadChunk(reason);
  return {kUnwritten, 0, 0};
}

void ChunkMap::read(const ChunkPlace& place, uint64_t first, std::span<std::byte> out) const {
  const std::string problem =
      parts_ ? parts_->read(place.address + first, out)
             : read_through(copy_.get(), descriptor_, static_cast<int64_t>(place.address + first), out);
  if (!problem.empty()) fail_reading(problem, place.address + first);
}

void ChunkMap::read(const ChunkPlace& place, uint64_t first, std::span<iovec> pieces) const {
  const std::string problem =
      parts_ ? parts_->read(place.address + first, pieces)
             : read_through(copy_.get(), descriptor_, static_cast<int64_t>(place.address + first), pieces);
  if (!problem.empty()) fail_reading(problem, place.address + first);
}

void ChunkMap::fail_reading(const std::string& problem, uint64_t offset) const {
  if (problem == kFileEndsEarly) throw filters::BadChunk(problem);
  fail(ExitCode::data,
       "{}:{} cannot be read from {} on: {}. The disk or the server that holds the file fails; "
       "the file itself need not be damaged. Start again, from a checkpoint if there is one, when it works.",
       file_, name_, parts_ ? parts_->describe(offset) : fmt::format("byte {} of the file", offset), problem);
}

bool ChunkMap::read_cached(const ChunkPlace& place, uint64_t first, std::span<const iovec> pieces) const {
  // What the copy lacks is to be written there; parts are several files.
  if (copy_ || parts_) return false;
  size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  // Zero too may mean that it would have to wait: a bug of Linux 5.9 and 5.10.
  return preadv2(descriptor_, pieces.data(), static_cast<int>(pieces.size()),
                 static_cast<off_t>(place.address + first), RWF_NOWAIT) == static_cast<ssize_t>(bytes);
}

void ChunkMap::ask_for(const ChunkPlace& place, uint64_t first, uint64_t count) const {
  if (parts_) return parts_->ask_for(place.address + first, count);
  // Only a hint: if it fails, the bytes are read one after another.
  const auto offset = static_cast<int64_t>(place.address + first), bytes = static_cast<int64_t>(count);
  const int descriptor = copy_ && copy_->has(offset, bytes) ? copy_->copy_descriptor() : descriptor_;
  posix_fadvise(descriptor, offset, bytes, POSIX_FADV_WILLNEED);
}

}  // namespace lockstep::hdf5
