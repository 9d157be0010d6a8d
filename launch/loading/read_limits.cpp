#include "launch/loading/read_limits.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

constexpr size_t kSourceBytes = size_t{256} << 20;  // beyond the caches of common processors
constexpr size_t kMinBatch = 4096;                  // so that each thread has bytes of its own
constexpr size_t kBatches = 4;                      // a Loader's depth
constexpr int64_t kBlock = int64_t{1} << 20;        // larger reads are not faster

size_t lanes_of(int threads) { return static_cast<size_t>(std::max(1, threads)); }

/// What one thread reads next, and its memory: as much as the batches of a loader, so that it is not always
/// in the caches.
struct alignas(64) Reader {
  explicit Reader(int64_t piece_bytes)
      : piece(static_cast<size_t>(piece_bytes)), pieces(pieces_of(piece_bytes)), memory(pieces * piece) {}
  static size_t pieces_of(int64_t piece_bytes) {
    return static_cast<size_t>(std::max<int64_t>(4, (int64_t{8} << 20) / piece_bytes));
  }
  std::byte* place() { return memory.data() + next % pieces * piece; }

  size_t piece, pieces, next = 0;
  std::vector<std::byte> memory;
};

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// work(thread) does a piece and returns its bytes, or 0 if none is left.
ByteRate rate(int threads, double seconds, const std::function<int64_t(int)>& work) {
  using Clock = std::chrono::steady_clock;
  ThreadPool pool(static_cast<int>(lanes_of(threads)));
  std::atomic<int64_t> total_bytes = 0;
  std::atomic<double> total_cpu = 0;
  const Clock::time_point start = Clock::now();
  const Clock::time_point end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  pool.run([&](int thread) {
    const double cpu_start = thread_cpu_seconds();
    int64_t mine = 0, piece = 0;
    do mine += piece = work(thread);
    while (piece > 0 && Clock::now() < end);
    total_bytes += mine;
    total_cpu.fetch_add(thread_cpu_seconds() - cpu_start);
  });
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  const auto bytes = static_cast<double>(total_bytes);
  return {bytes / took, total_cpu / bytes};
}

}  // namespace

MemoryCopy::MemoryCopy(size_t batch_bytes)
    : batch_bytes_(std::max(kMinBatch, batch_bytes)),
      source_bytes_(std::max(kSourceBytes, 2 * batch_bytes_)),
      // Written, so that each has pages of its own instead of one page of zeros.
      source_(std::make_unique<std::byte[]>(source_bytes_)),
      batches_(std::make_unique<std::byte[]>(kBatches * batch_bytes_)) {
  std::memset(source_.get(), 1, source_bytes_);
  std::memset(batches_.get(), 1, kBatches * batch_bytes_);
}

int64_t MemoryCopy::bytes() const { return static_cast<int64_t>(source_bytes_ + kBatches * batch_bytes_); }

ByteRate MemoryCopy::copy(int threads, double seconds) const {
  // Threads share the source's batches, and each copies to a part of every destination.
  const size_t lanes = lanes_of(threads), share = batch_bytes_ / lanes, pieces = source_bytes_ / batch_bytes_;
  std::vector<size_t> next(lanes * 16, 0);  // 16: each thread's on a cache line of its own
  return rate(threads, seconds, [&](int thread) {
    const auto lane = static_cast<size_t>(thread);
    const size_t begin = std::min(lane * share, batch_bytes_ - share);
    const size_t number = next[lane * 16]++;
    std::memcpy(batches_.get() + number % kBatches * batch_bytes_ + begin,
                source_.get() + number % pieces * batch_bytes_ + begin, share);
    return static_cast<int64_t>(share);
  });
}

FileReading::FileReading(const std::vector<std::string>& paths) {
  try {
    for (const std::string& path : paths) append(path);
    if (blocks_.empty()) fail(ExitCode::data, "{}: no bytes to read.", paths.empty() ? "no file" : paths[0]);
  } catch (...) {
    close_all();
    throw;
  }
}

FileReading::~FileReading() { close_all(); }

void FileReading::close_all() {
  for (const File& file : files_) close(file.descriptor);
}

void FileReading::append(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(ExitCode::data, "{} cannot be opened: {}.", path, std::strerror(errno));
  struct stat status {};
  const bool known = fstat(descriptor, &status) == 0;
  files_.push_back({descriptor, known ? status.st_size : 0});
  for (int64_t offset = 0; offset < files_.back().bytes; offset += kBlock)
    blocks_.push_back({descriptor, offset, std::min(kBlock, files_.back().bytes - offset)});
}

void FileReading::read(const Piece& piece, std::byte* to) {
  for (int64_t done = 0; done < piece.bytes;) {
    const ssize_t got =
        pread(piece.descriptor, to + done, static_cast<size_t>(piece.bytes - done), piece.offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      fail(ExitCode::data, "a file of the data set cannot be read at byte {}: {}.", piece.offset + done,
           got < 0 ? std::strerror(errno) : "it became shorter");
    done += got;
  }
}

ByteRate FileReading::read_in_order(int threads, double seconds) const {
  std::vector<Reader> readers(lanes_of(threads), Reader(kBlock));
  for (size_t lane = 0; lane < readers.size(); ++lane)
    readers[lane].next = lane * blocks_.size() / readers.size();
  return rate(threads, seconds, [&](int lane) {
    Reader& reader = readers[static_cast<size_t>(lane)];
    const Piece& block = blocks_[reader.next++ % blocks_.size()];
    read(block, reader.place());
    return block.bytes;
  });
}

ByteRate FileReading::read_scattered(int threads, double seconds, int64_t piece_bytes) const {
  std::vector<Reader> readers(lanes_of(threads), Reader(piece_bytes));
  return rate(threads, seconds, [&](int lane) {
    Reader& reader = readers[static_cast<size_t>(lane)];
    // Large files have more blocks, and so are chosen more often.
    const Random4 words = philox(/*key=*/0, static_cast<uint64_t>(lane), reader.next++);
    const Piece& block = blocks_[words.word[0] % blocks_.size()];
    const auto file = std::ranges::find(files_, block.descriptor, &File::descriptor);
    const int64_t bytes = std::min(piece_bytes, file->bytes);
    const int64_t offset = std::min(block.offset + words.word[1] % block.bytes, file->bytes - bytes);
    read({block.descriptor, offset, bytes}, reader.place());
    return bytes;
  });
}

ByteRate FileReading::read_once(double seconds) const {
  Reader reader(kBlock);
  return rate(1, seconds, [&](int) {
    if (reader.next == blocks_.size()) return int64_t{0};
    const Piece& block = blocks_[reader.next++];
    read(block, reader.place());
    return block.bytes;
  });
}

int64_t FileReading::bytes(int threads, int64_t piece_bytes) {
  const auto of_reader = [](int64_t piece) { return piece * static_cast<int64_t>(Reader::pieces_of(piece)); };
  return static_cast<int64_t>(lanes_of(threads)) * std::max(of_reader(kBlock), of_reader(piece_bytes));
}

void FileReading::drop_from_page_cache() const {
  for (const File& file : files_) {
    fdatasync(file.descriptor);  // pages that are not yet on disk are not dropped
    posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED);
  }
}

std::optional<double> FileReading::cached_share() const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> cached(static_cast<size_t>(kBlock) / page + 1);
  size_t pages = 0, there = 0;
  for (const Piece& block : blocks_) {
    const auto bytes = static_cast<size_t>(block.bytes);
    void* const at = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, block.descriptor, block.offset);
    if (at == MAP_FAILED) return std::nullopt;
    const size_t count = (bytes + page - 1) / page;
    const bool known = mincore(at, bytes, cached.data()) == 0;
    munmap(at, bytes);
    if (!known) return std::nullopt;
    pages += count;
    for (size_t i = 0; i < count; ++i) there += cached[i] & 1u;
  }
  return static_cast<double>(there) / static_cast<double>(pages);
}

}  // namespace lockstep
