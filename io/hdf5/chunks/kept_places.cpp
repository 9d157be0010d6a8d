#include "io/hdf5/chunks/kept_places.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <type_traits>

#include "io/file/atomic_file.h"
#include "io/file/read_at.h"
#include "src/core/hash.h"

namespace lockstep::hdf5 {

namespace {

/// The beginning of the file; the table follows, and then the hash of both. In the byte order of the machine,
/// which is that of the number in kMagic.
struct Header {
  uint64_t magic = 0;
  PlacesOwner owner;
};
constexpr size_t kPiece = size_t{1} << 16;              // entries, hashed while they are in the cache
constexpr uint64_t kMagic = 0x31'53'45'43'41'4c'50'4c;  // "LPLACES1"
static_assert(std::has_unique_object_representations_v<Header> &&
              std::has_unique_object_representations_v<ChunkEntry>);

/// A file that is open for reading; -1: it is not.
class Descriptor {
 public:
  explicit Descriptor(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

bool is_possible(const ChunkEntry& entry, const PlacesOwner& owner) {
  if (entry.address <= ChunkEntry::kUnwritten) return entry.bytes == 0 && entry.skipped == 0;
  const auto file = static_cast<uint64_t>(owner.bytes);
  return entry.bytes > 0 && entry.address <= file && entry.bytes <= file - entry.address;
}

template <typename T>
bool read(const Descriptor& file, uint64_t offset, std::span<T> out) {
  return read_at(file.number(), static_cast<int64_t>(offset), std::as_writable_bytes(out)).empty();
}

/// Reads and checks what follows the header.
bool read_table(const Descriptor& file, const Header& header, std::span<ChunkEntry> table) {
  StreamingHash hash;
  hash.update(std::as_bytes(std::span(&header, 1)));
  for (size_t first = 0; first < table.size(); first += kPiece) {
    const auto piece = table.subspan(first, std::min(kPiece, table.size() - first));
    if (!read(file, sizeof(Header) + first * sizeof(ChunkEntry), piece)) return false;
    hash.update(std::as_bytes(piece));
    if (!std::ranges::all_of(piece,
                             [&](const ChunkEntry& entry) { return is_possible(entry, header.owner); }))
      return false;
  }
  uint64_t stored = 0;
  return read(file, sizeof(Header) + table.size_bytes(), std::span(&stored, 1)) && stored == hash.digest();
}

}  // namespace

ChunkEntry known_entry(ChunkEntry& entry) {
  const uint64_t address = std::atomic_ref(entry.address).load(std::memory_order_acquire);
  return address == 0 ? ChunkEntry{} : ChunkEntry{address, entry.bytes, entry.skipped};
}

void set_entry(ChunkEntry& entry, const ChunkEntry& known) {
  entry.bytes = known.bytes;
  entry.skipped = known.skipped;
  std::atomic_ref(entry.address).store(known.address, std::memory_order_release);
}

void write_places(const std::string& path, const PlacesOwner& owner, std::span<ChunkEntry> table) {
  const Header header{kMagic, owner};
  StreamingHash hash;
  AtomicFile file(path);
  const auto write = [&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    file.write(bytes);
  };
  write(std::as_bytes(std::span(&header, 1)));
  const auto copy = std::make_unique<ChunkEntry[]>(std::min(kPiece, table.size()));
  for (size_t first = 0; first < table.size(); first += kPiece) {
    const size_t count = std::min(kPiece, table.size() - first);
    for (size_t i = 0; i < count; ++i) copy[i] = known_entry(table[first + i]);
    write(std::as_bytes(std::span(copy.get(), count)));
  }
  const uint64_t digest = hash.digest();
  file.write(std::as_bytes(std::span(&digest, 1)));
  file.commit();
}

bool read_places(const std::string& path, const PlacesOwner& owner, std::span<ChunkEntry> table) {
  const Descriptor file(path);
  struct stat status {};
  Header header;
  if (file.number() < 0 || fstat(file.number(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<uint64_t>(status.st_size) != sizeof(Header) + table.size_bytes() + sizeof(uint64_t) ||
      !read(file, 0, std::span(&header, 1)) || header.magic != kMagic || !(header.owner == owner) ||
      owner.entries != table.size())
    return false;
  if (read_table(file, header, table)) return true;
  std::ranges::fill(table, ChunkEntry{});
  return false;
}

}  // namespace lockstep::hdf5
