#include "io/stage/piecewise_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "io/file/read_at.h"
#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/core/hash.h"

namespace lockstep {

namespace {

uint64_t checksum_of_bytes(std::span<const std::byte> bytes) {
  StreamingHash hash;
  hash.update(bytes);
  return hash.digest();
}

std::string message_of(int error) { return std::generic_category().message(error); }

/// The first line of the log.
std::string head_of(const FileState& state) {
  return fmt::format("{} {} {}", state.bytes, state.modified_ns, PiecewiseCopy::kPieceBytes);
}

void close_if_open(int descriptor) {
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace

PiecewiseCopy::PiecewiseCopy(std::string original, std::string path)
    : original_(std::move(original)),
      path_(std::move(path)),
      part_(path_ + ".part"),
      log_(path_ + ".part.log"),
      state_(FileState::of(original_)) {
  from_ = ::open(original_.c_str(), O_RDONLY | O_CLOEXEC);
  if (from_ < 0) fail(ExitCode::data, "{}: cannot be read: {}.", original_, message_of(errno));
  pieces_.resize(static_cast<size_t>((state_.bytes + kPieceBytes - 1) / kPieceBytes));
  to_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (to_ < 0) fail_writing("create");
  resume();
}

PiecewiseCopy::~PiecewiseCopy() {
  close_if_open(from_);
  close_if_open(to_);
  close_if_open(log_descriptor_);
}

void PiecewiseCopy::resume() {
  std::ifstream before(log_);
  std::string line;
  const bool is_of_this = std::getline(before, line) && line == head_of(state_);
  while (is_of_this && std::getline(before, line)) {
    std::istringstream text(line);
    size_t index = 0;
    uint64_t noted = 0;
    if (!(text >> index >> std::hex >> noted) || index >= pieces_.size()) continue;
    // A power failure may have kept the line and lost the piece.
    std::vector<std::byte> bytes(static_cast<size_t>(bytes_of(index)));
    const std::string failure = read_at(to_, static_cast<int64_t>(index) * kPieceBytes, bytes);
    if (failure.empty() && checksum_of_bytes(bytes) == noted) pieces_[index] = {noted, true};
  }
  log_descriptor_ = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  const std::string head = head_of(state_) + "\n";
  if (log_descriptor_ < 0 ||
      ::write(log_descriptor_, head.data(), head.size()) != static_cast<ssize_t>(head.size()) ||
      ::ftruncate(to_, static_cast<off_t>(state_.bytes)) != 0)
    fail_writing("write");
  for (size_t index = 0; index < pieces_.size(); ++index)
    if (pieces_[index].done) note(index);
}

int64_t PiecewiseCopy::bytes_of(size_t index) const {
  return std::min(kPieceBytes, state_.bytes - static_cast<int64_t>(index) * kPieceBytes);
}

int64_t PiecewiseCopy::missing() const {
  int64_t bytes = 0;
  for (size_t index = 0; index < pieces_.size(); ++index)
    if (!pieces_[index].done) bytes += bytes_of(index);
  return bytes;
}

void PiecewiseCopy::run(int threads, const std::function<void(int64_t)>& copied) {
  std::mutex mutex;
  for_each_piece(threads, [&](size_t index) {
    if (pieces_[index].done) return;
    copy(index);
    const std::scoped_lock lock(mutex);
    note(index);
    if (copied) copied(bytes_of(index));
  });
  require_original();
  if (::fdatasync(to_) != 0) fail_writing("flush");
  // What is read again comes from the storage, as far as the system heeds this.
  ::posix_fadvise(to_, 0, 0, POSIX_FADV_DONTNEED);
  for_each_piece(threads, [&](size_t index) {
    if (checksum_of(to_, part_, index) != pieces_[index].checksum)
      fail(ExitCode::data,
           "{}: the copy {} of it does not hold what was written to it, from byte {} on. The storage of that "
           "folder is damaged: choose another data.stage.",
           original_, part_, static_cast<int64_t>(index) * kPieceBytes);
  });
}

void PiecewiseCopy::copy(size_t index) {
  const auto begin = static_cast<int64_t>(index) * kPieceBytes;
  std::vector<std::byte> bytes(static_cast<size_t>(bytes_of(index)));
  {
    const FileActivity reading(original_);
    const std::string failure = read_at(from_, begin, bytes);
    if (!failure.empty()) {
      require_original();
      fail(ExitCode::data, "{}: cannot be copied to {}: {}.", original_, path_, failure);
    }
  }
  const FileActivity writing(part_);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::pwrite(to_, bytes.data() + done, bytes.size() - done,
                                     static_cast<off_t>(begin) + static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing("write");
    done += static_cast<size_t>(written);
  }
  pieces_[index] = {checksum_of_bytes(bytes), true};
}

/// Notes in the log that a piece is done.
void PiecewiseCopy::note(size_t index) {
  const std::string line = fmt::format("{} {:016x}\n", index, pieces_[index].checksum);
  if (::write(log_descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    fail_writing("write");
}

uint64_t PiecewiseCopy::checksum_of(int descriptor, const std::string& file, size_t index) const {
  std::vector<std::byte> bytes(static_cast<size_t>(bytes_of(index)));
  const FileActivity reading(file);
  const std::string failure = read_at(descriptor, static_cast<int64_t>(index) * kPieceBytes, bytes);
  if (!failure.empty()) fail(ExitCode::data, "{}: cannot be read again: {}.", file, failure);
  return checksum_of_bytes(bytes);
}

/// In several threads; rethrows the first exception.
void PiecewiseCopy::for_each_piece(int threads, const std::function<void(size_t)>& action) const {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (size_t index = next++; index < pieces_.size(); index = next++) {
      try {
        action(index);
      } catch (...) {
        next = pieces_.size();
        const std::scoped_lock lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < std::min(threads, static_cast<int>(pieces_.size())); ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  if (failure) std::rethrow_exception(failure);
}

void PiecewiseCopy::require_original() const {
  const std::string change = state_.change_to(FileState::of(original_));
  if (!change.empty())
    fail(ExitCode::data,
         "{} changed while it was copied to {}: {}. Start again when no process writes to it.", original_,
         path_, change);
}

FileState PiecewiseCopy::commit() {
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail_writing("rename");
  ::unlink(log_.c_str());
  return FileState::of(path_);
}

uint64_t PiecewiseCopy::checksum() const {
  StreamingHash hash;
  for (const Piece& piece : pieces_) hash.update(std::as_bytes(std::span(&piece.checksum, 1)));
  return hash.digest();
}

void PiecewiseCopy::fail_writing(const char* what) const {
  const int error = errno;
  const bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  fail(ExitCode::data, "{}: cannot {} the copy {} of it: {}.{}", original_, what, part_, message_of(error),
       is_full ? " Free some space, choose another data.stage, or remove the key." : "");
}

}  // namespace lockstep
