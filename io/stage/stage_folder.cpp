#include "io/stage/stage_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/log.h"

namespace lockstep {

namespace fs = std::filesystem;

void create_stage_folder(const std::string& folder) {
  std::error_code error;
  fs::path path = fs::absolute(folder, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "/local/scratch/"
  // A path that is misspelled, or on a disk that is not mounted, must not take the copies elsewhere.
  if (const fs::path parent = path.parent_path(); !fs::exists(parent, error) && !error)
    fail(
        ExitCode::data,
        "data.stage = \"{}\": the folder {} does not exist. Create it, or choose a folder on the machine's own "
        "storage.",
        folder, parent.string());
  fs::create_directory(folder, error);
  if (error)
    fail(ExitCode::data, "data.stage: cannot create {}: {}. Choose a folder that you may write to.", folder,
         error.message());
}

std::string full_path(const std::string& file) {
  std::error_code error;
  const fs::path path = fs::canonical(file, error);
  return error ? file : path.string();
}

std::string stage_path(const std::string& file, const std::string& folder) {
  const std::string path = full_path(file);
  StreamingHash hash;
  hash.update(std::as_bytes(std::span(path)));
  return (fs::path(folder) / fmt::format("{:016x}-{}", hash.digest(), fs::path(path).filename().string()))
      .string();
}

StageFolderLock::StageFolderLock(const std::string& folder) {
  const std::string path = (fs::path(folder) / ".lockstep-stage").string();
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0)
    fail(ExitCode::data, "data.stage: cannot write to {}: {}. Choose a folder that you may write to.", folder,
         std::generic_category().message(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  log_info("data.stage: waiting for another process that copies to {}", folder);
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

StageFolderLock::~StageFolderLock() { ::close(descriptor_); }

}  // namespace lockstep
