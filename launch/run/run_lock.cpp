#include "launch/run/run_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string own_text() {
  return fmt::format("process {} on {} since {:%F %T} UTC", getpid(), host_name(),
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

std::string text_of(int descriptor) {
  std::array<char, 512> text{};
  const ssize_t length = pread(descriptor, text.data(), text.size(), 0);
  std::string line(text.data(), static_cast<size_t>(std::max<ssize_t>(length, 0)));
  line = line.substr(0, line.find('\n'));
  return line.empty() ? "another process" : line;
}

/// Whether the process described by such a text runs on this machine.
bool runs_here(const std::string& text) {
  int process = 0;
  std::array<char, 256> host{};
  if (std::sscanf(text.c_str(), "process %d on %255s", &process, host.data()) != 2) return false;
  return host.data() == host_name() && process != getpid() && (kill(process, 0) == 0 || errno == EPERM);
}

/// 0, or the errno: EAGAIN if another process holds the lock.
int lock_whole_file(int descriptor) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  // A lock of the open file, not of the process, so that closing the file elsewhere in the program does not
  // release it.
  if (fcntl(descriptor, F_OFD_SETLK, &lock) == 0) return 0;
  if (errno == EINVAL && fcntl(descriptor, F_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

/// Whether the open file still has its name: the previous holder may have removed it meanwhile.
bool is_still(int descriptor, const std::string& path) {
  struct stat open_file {
  }, named_file{};
  return fstat(descriptor, &open_file) == 0 && stat(path.c_str(), &named_file) == 0 &&
         open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

[[noreturn]] void fail_to_make(const std::string& folder, int error) {
  fail(ExitCode::data, "cannot create the run folder {}: {}. Name another with --run.", folder,
       std::strerror(error));
}

}  // namespace

int RunLock::make_folder() {
  std::vector<fs::path> missing;
  std::error_code status;
  for (fs::path at = folder_; !at.empty() && !fs::exists(at, status) && !status; at = at.parent_path())
    missing.push_back(at);
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (mkdir(at->c_str(), 0777) == 0)
      made_.push_back(at->string());
    else if (errno == ENOENT)
      return errno;
    else if (errno != EEXIST)
      fail_to_make(folder_, errno);
  }
  return 0;
}

bool RunLock::try_lock(std::string& holder) {
  constexpr int kMaxVanished = 1000;
  const std::string path = folder_ + "/lock";
  for (int vanished = 0;;) {
    int failure = make_folder();
    if (failure == 0) {
      descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
      failure = descriptor_ < 0 ? errno : 0;
    }
    // The previous holder may just have removed the folder, too, and its parents.
    if (failure == ENOENT && ++vanished < kMaxVanished) continue;
    if (failure != 0) fail_to_make(folder_, failure);
    const int error = lock_whole_file(descriptor_);
    const bool held = error == EAGAIN || (error != 0 && runs_here(text_of(descriptor_)));
    if (held) holder = text_of(descriptor_);
    if (!held && (error != 0 || is_still(descriptor_, path))) {
      if (error != 0)
        log_warning("{} cannot be locked ({}): take care that no other machine trains into this folder.",
                    path, std::strerror(error));
      return true;
    }
    close(descriptor_);
    descriptor_ = -1;
    if (held) return false;
  }
}

std::unique_ptr<RunLock> RunLock::try_take(const std::string& folder, std::string& holder) {
  std::unique_ptr<RunLock> lock(new RunLock(folder));
  if (!lock->try_lock(holder)) return nullptr;
  const std::string text = own_text() + "\n";
  if (ftruncate(lock->descriptor_, 0) != 0 ||
      pwrite(lock->descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    fail(ExitCode::data, "{}/lock: cannot write the file: {}", folder, std::strerror(errno));
  return lock;
}

std::unique_ptr<RunLock> RunLock::take(const std::string& folder, double patience) {
  const Clock::time_point begun = Clock::now();
  std::string holder;
  for (;;) {
    if (std::unique_ptr<RunLock> lock = try_take(folder, holder)) return lock;
    if (Clock::now() - begun >= std::chrono::duration<double>(patience))
      fail(ExitCode::usage,
           "{} is in use by {}. Wait until that process ends, stop it, or name another folder with --run.",
           folder, holder);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) {
    unlink((folder_ + "/lock").c_str());
    close(descriptor_);
  }
  while (!made_.empty() && rmdir(made_.back().c_str()) == 0) made_.pop_back();
}

}  // namespace lockstep
