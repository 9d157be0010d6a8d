#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <string>

#include "src/core/error.h"

namespace lockstep {

/// While it lives, no file of this process grows beyond `bytes`: writes fail with EFBIG, as on a file system
/// that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

/// Mounts a memory file system over `folder` in a mount namespace of this process's own; false where that is
/// not allowed. For a forked child only.
inline bool mount_small_disk(const std::string& folder, unsigned long flags, const char* options) {
  return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", folder.c_str(), "tmpfs", flags, options) == 0;
}

/// Whether a child of this process may do that.
inline bool can_mount_small_disk(const std::string& folder) {
  const pid_t child = fork();
  if (child == 0) _exit(mount_small_disk(folder, 0, "size=64k") ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Runs `action`, prints an Error's message to stderr and ends the process with its exit code: the end of a
/// death test.
[[noreturn]] inline void exit_with_error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::exit(static_cast<int>(e.code()));
  }
  std::exit(0);
}

}  // namespace lockstep
