#include "io/file/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "src/core/activity.h"
#include "src/core/error.h"

namespace lockstep {

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.tmp-{}", path_, ::getpid())), noted_(temporary_) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_with_errno("create the file");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    // In pieces that even a slow file system writes in seconds, so that a long write shows progress.
    constexpr size_t kPiece = size_t{64} << 20;
    const FileActivity writing(path_);
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_with_errno("write the file");
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  const FileActivity writing(path_);
  // Some file systems report a full disk or an exceeded quota only here.
  if (::fsync(descriptor_) != 0) fail_with_errno("flush the file");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno("rename the temporary file to it");
  ::close(descriptor_);
  descriptor_ = -1;

  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int folder_descriptor =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_descriptor < 0) fail_with_errno("open the folder to flush it");
  const int status = ::fsync(folder_descriptor);
  const int error = errno;
  ::close(folder_descriptor);
  // EINVAL: a file system that has no such operation on folders.
  if (status != 0 && error != EINVAL) {
    errno = error;
    fail_with_errno("flush the folder");
  }
}

void AtomicFile::fail_with_errno(const char* what) const {
  const int error = errno;
  const char* remedy = "";
  if (error == ENOSPC || error == EDQUOT) remedy = " Free some space or write elsewhere.";
  if (error == EFBIG) remedy = " Raise the limit on file sizes (ulimit -f) or write elsewhere.";
  if (error == EACCES || error == EPERM || error == EROFS) remedy = " Choose a folder that you may write to.";
  if (error == ENOENT || error == ENOTDIR) remedy = " Does its folder exist?";
  fail(ExitCode::data, "{}: cannot {}: {}.{}", path_, what, std::generic_category().message(error), remedy);
}

void write_text_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

}  // namespace lockstep
