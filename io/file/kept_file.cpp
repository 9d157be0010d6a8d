#include "io/file/kept_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "io/file/read_at.h"
#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/log.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

constexpr uint8_t kMissing = 0, kBeingWritten = 1, kThere = 2;  // pieces in the table
constexpr int64_t kPiecesAtOnce = 512;

/// The log: this, and then a record for each piece, in any order.
struct LogHead {
  uint64_t mark = 0x3174'7065'6b73'6b6c;  // "lkskept1"
  int64_t bytes = 0, modified_ns = 0;     // of the original
  int64_t piece_bytes = KeptFile::kPieceBytes;
  bool operator==(const LogHead&) const = default;
};
struct LogRecord {
  uint64_t piece = 0, checksum = 0;
};

LogHead log_head_of(const FileState& original) {
  return {.bytes = original.bytes, .modified_ns = original.modified_ns};
}

std::string log_path(const std::string& copy) { return copy + ".log"; }

template <typename T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

bool write_at(int descriptor, int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    offset += written;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

[[noreturn]] void fail_with_copy(const std::string& original, const std::string& copy, const char* what) {
  const int error = errno;
  fail(ExitCode::data, "data.stage: cannot {} {}, the copy of {}: {}.", what, copy, original,
       std::generic_category().message(error));
}

/// Whether the file system has some room left, which others need: checkpoints may lie there too. If not, sets
/// errno.
bool leaves_room(int descriptor) {
  constexpr double kReserve = 0x1p30, kReservedShare = 0.05;
  struct statvfs system {};
  if (::fstatvfs(descriptor, &system) != 0) return true;
  const auto block = static_cast<double>(system.f_frsize), all = block * static_cast<double>(system.f_blocks);
  if (block * static_cast<double>(system.f_bavail) >= std::min(kReserve, kReservedShare * all)) return true;
  errno = ENOSPC;
  return false;
}

int64_t total_bytes(std::span<const iovec> pieces) {
  int64_t bytes = 0;
  for (const iovec& piece : pieces) bytes += static_cast<int64_t>(piece.iov_len);
  return bytes;
}

/// Copies bytes to where these pieces of memory begin, and removes that part of them.
void fill_front(std::span<iovec>& pieces, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    iovec& to = pieces.front();
    const size_t count = std::min(to.iov_len, bytes.size());
    std::memcpy(to.iov_base, bytes.data(), count);
    bytes = bytes.subspan(count);
    to = {static_cast<std::byte*>(to.iov_base) + count, to.iov_len - count};
    if (to.iov_len == 0) pieces = pieces.subspan(1);
  }
}

/// Makes an empty copy with an empty log. Another process may still use an old one, so its files are left to
/// that process.
void create_copy(const std::string& original, const std::string& path, const FileState& state) {
  ::unlink(log_path(path).c_str());
  ::unlink(path.c_str());
  const int copy = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (copy < 0) fail_with_copy(original, path, "create");
  const bool has_size = ::ftruncate(copy, static_cast<off_t>(state.bytes)) == 0;
  const int log = has_size ? ::open(log_path(path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
  LogHead head = log_head_of(state);
  const bool is_made = log >= 0 && write_at(log, 0, bytes_of(head));
  const int error = errno;
  ::close(copy);
  if (log >= 0) ::close(log);
  errno = error;
  if (!is_made) fail_with_copy(original, path, "write");
}

/// Enters those pieces of the copy in the table that have the checksums of their records.
void mark_good_pieces(std::span<const LogRecord> records, int copy, int64_t file_bytes,
                      const KeptFile::Table& table, int threads) {
  ThreadPool pool(threads);
  pool.run([&](int lane) {
    std::vector<std::byte> bytes;
    for (size_t i = static_cast<size_t>(lane); i < records.size(); i += static_cast<size_t>(threads)) {
      const auto [piece, checksum] = records[i];
      if (piece >= table.pieces.size()) continue;
      const int64_t begin = static_cast<int64_t>(piece) * KeptFile::kPieceBytes;
      bytes.resize(static_cast<size_t>(std::min(KeptFile::kPieceBytes, file_bytes - begin)));
      // A power failure may have kept the record and lost the piece.
      if (read_at(copy, begin, bytes).empty() && hash_bytes(bytes) == checksum)
        std::atomic_ref(table.pieces[piece]).store(kThere);
    }
  });
}

}  // namespace

void KeptFile::prepare(const std::string& original, const std::string& path, const Table& table,
                       int threads) {
  const FileState state = FileState::of(original);
  if (!state.exists) fail(ExitCode::data, "{} no longer exists.", original);
  const int log = ::open(log_path(path).c_str(), O_RDWR | O_CLOEXEC);
  const int copy = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  LogHead head{.mark = 0};
  size_t count = 0;
  if (log >= 0 && read_at(log, 0, bytes_of(head)).empty() && head == log_head_of(state)) {
    const int64_t bytes = FileState::of(log_path(path)).bytes - static_cast<int64_t>(sizeof head);
    count = static_cast<size_t>(bytes) / sizeof(LogRecord);
    // The last record is cut off if its writer was killed: the next one must not begin inside it. If this
    // fails, the records behind it make no sense, and their pieces are read again.
    const size_t whole = sizeof head + count * sizeof(LogRecord);
    if (bytes % static_cast<int64_t>(sizeof(LogRecord)) != 0 &&
        ::ftruncate(log, static_cast<off_t>(whole)) != 0)
      log_warning("data.stage: {} cannot be shortened", log_path(path));
  }
  const bool is_usable = head == log_head_of(state) && FileState::of(path).bytes == state.bytes && copy >= 0;
  constexpr size_t kRecordsAtOnce = size_t{1} << 20;
  for (size_t first = 0; is_usable && first < count; first += kRecordsAtOnce) {
    std::vector<LogRecord> records(std::min(kRecordsAtOnce, count - first));
    const auto offset = static_cast<int64_t>(sizeof head + first * sizeof(LogRecord));
    if (!read_at(log, offset, std::as_writable_bytes(std::span(records))).empty()) break;
    mark_good_pieces(records, copy, state.bytes, table, threads);
  }
  if (log >= 0) ::close(log);
  if (copy >= 0) ::close(copy);
  if (!is_usable) create_copy(original, path, state);
}

KeptFile::KeptFile(std::string original, std::string path, const Table& table)
    : path_(std::move(path)), state_(FileState::of(original)), table_(table) {
  copy_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
  log_ = ::open(log_path(path_).c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  LogHead head{.mark = 0};
  if (copy_ < 0 || log_ < 0 || !read_at(log_, 0, bytes_of(head)).empty()) {
    const int error = errno;
    if (copy_ >= 0) ::close(copy_);
    if (log_ >= 0) ::close(log_);
    errno = error;
    fail_with_copy(original, path_, "open");
  }
  // Otherwise processes would mean different pieces by one entry of the table.
  if (head == log_head_of(state_) && static_cast<int64_t>(table.pieces.size()) == pieces_of(state_.bytes))
    return;
  ::close(copy_);
  ::close(log_);
  fail(ExitCode::data, "{} changed while its copy {} was prepared.", original, path_);
}

KeptFile::~KeptFile() {
  ::close(copy_);
  ::close(log_);
}

bool KeptFile::has(int64_t offset, int64_t count) const {
  if (offset < 0 || count <= 0 || offset > state_.bytes - count) return false;
  for (int64_t piece = offset / kPieceBytes; piece <= (offset + count - 1) / kPieceBytes; ++piece)
    if (std::atomic_ref(table_.pieces[static_cast<size_t>(piece)]).load(std::memory_order_acquire) != kThere)
      return false;
  return true;
}

int64_t KeptFile::kept_bytes() const {
  int64_t bytes = 0;
  for (int64_t begin = 0; begin < state_.bytes; begin += kPieceBytes)
    if (has(begin, 1)) bytes += std::min(kPieceBytes, state_.bytes - begin);
  return bytes;
}

std::string KeptFile::read_copy(int64_t offset, std::span<iovec> out) {
  from_copy_ += total_bytes(out);
  const std::string problem = read_at(copy_, offset, out);
  return problem.empty() ? "" : fmt::format("its copy {}: {}", path_, problem);
}

std::string KeptFile::read(int descriptor, int64_t offset, std::span<iovec> out) {
  const int64_t wanted = total_bytes(out);
  if (wanted == 0) return "";
  if (has(offset, wanted)) return read_copy(offset, out);
  const bool is_inside = offset >= 0 && offset <= state_.bytes - wanted;
  if (!is_inside || std::atomic_ref(*table_.is_closed).load(std::memory_order_relaxed) != 0) {
    from_original_ += wanted;
    return read_at(descriptor, offset, out);
  }
  std::vector<std::byte> bytes;
  for (int64_t at = offset, end = offset + wanted; at < end;) {
    const int64_t first = at / kPieceBytes, begin = first * kPieceBytes;
    const int64_t behind = std::min(pieces_of(end), first + kPiecesAtOnce);
    const int64_t stop = std::min(behind * kPieceBytes, state_.bytes);
    bytes.resize(static_cast<size_t>(stop - begin));
    if (has(begin, stop - begin)) {
      iovec all{bytes.data(), bytes.size()};
      if (std::string problem = read_copy(begin, {&all, 1}); !problem.empty()) return problem;
    } else {
      // In one piece, although some of it may be there: file systems that are worth a copy are slow to
      // answer.
      from_original_ += stop - begin;
      if (std::string problem = read_at(descriptor, begin, bytes); !problem.empty()) return problem;
      keep(first, bytes);
    }
    const int64_t next = std::min(stop, end);
    fill_front(out,
               std::span(bytes).subspan(static_cast<size_t>(at - begin), static_cast<size_t>(next - at)));
    at = next;
  }
  return "";
}

/// Writes those pieces that no other thread or process has written or is writing.
void KeptFile::keep(int64_t first_piece, std::span<const std::byte> bytes) {
  constexpr size_t kBytes = kPieceBytes;
  std::vector<LogRecord> records;
  const auto state_of = [&](uint64_t piece) {
    return std::atomic_ref(table_.pieces[static_cast<size_t>(piece)]);
  };
  const FileActivity writing(path_);
  bool is_written = leaves_room(copy_);
  for (auto piece = static_cast<uint64_t>(first_piece); !bytes.empty() && is_written; ++piece) {
    const auto of_piece = bytes.first(std::min(kBytes, bytes.size()));
    bytes = bytes.subspan(of_piece.size());
    uint8_t state = kMissing;
    if (!state_of(piece).compare_exchange_strong(state, kBeingWritten)) continue;
    records.push_back({piece, hash_bytes(of_piece)});
    is_written = write_at(copy_, static_cast<int64_t>(piece) * kPieceBytes, of_piece);
  }
  is_written = is_written && append_to_log(std::as_bytes(std::span(records)));
  if (!is_written) close_copy();
  for (const LogRecord& record : records)
    state_of(record.piece).store(is_written ? kThere : kMissing, std::memory_order_release);
}

/// In one call, so that those of several processes do not mix.
bool KeptFile::append_to_log(std::span<const std::byte> records) {
  return records.empty() || ::write(log_, records.data(), records.size()) == std::ssize(records);
}

void KeptFile::close_copy() {
  const int error = errno;
  if (std::atomic_ref(*table_.is_closed).exchange(1) != 0) return;
  log_warning(
      "data.stage: {} cannot be written: {}. What this machine does not have by now is read from the "
      "original files.",
      path_,
      error == ENOSPC ? "its file system is full, or nearly so" : std::generic_category().message(error));
}

}  // namespace lockstep
