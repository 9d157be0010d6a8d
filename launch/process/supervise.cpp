#include "launch/process/supervise.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// Signals from a launcher, Slurm or a user that are meant for the rank.
constexpr std::array kForwarded = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

/// In the child: the signals that were blocked before supervise().
std::optional<sigset_t> blocked_before;

constexpr std::array kCrashes = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

bool is_traced() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != std::string::npos;
  return false;
}

/// Ends this process with the status of its child.
[[noreturn]] void end_as(int status, const Environment& environment) {
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGKILL) {
    log_error(
        "rank {} was killed (SIGKILL). Unless a user did so, memory ran out: see dmesg, or Slurm's record of "
        "the job. Resume from the newest checkpoint.",
        environment.rank_hint);
    _exit(static_cast<int>(ExitCode::lost));
  }
  if (std::ranges::find(kCrashes, signal) != kCrashes.end())
    log_error("rank {} crashed: signal {} ({}). This is a bug in Lockstep or in a library that it uses.",
              environment.rank_hint, signal, strsignal(signal));
  // The child has already dumped core, if enabled.
  const rlimit no_core{};
  setrlimit(RLIMIT_CORE, &no_core);
  std::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  raise(signal);
  _exit(128 + signal);
}

[[noreturn]] void wait_for(pid_t child, const sigset_t& signals, const Environment& environment) {
  for (;;) {
    int signal = 0, status = 0;
    sigwait(&signals, &signal);
    if (signal != SIGCHLD) {
      kill(child, signal);
      continue;
    }
    if (waitpid(child, &status, WNOHANG) == child) end_as(status, environment);
  }
}

}  // namespace

void supervise(const Environment& environment) {
  if (environment.launcher.launcher.empty() || is_traced()) return;
  std::signal(SIGCHLD, SIG_DFL);
  // Blocked before the fork, so that none is lost; the parent takes them one by one.
  sigset_t signals, before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  for (const int signal : kForwarded) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t parent = getpid(), child = fork();
  if (child > 0) wait_for(child, signals, environment);
  blocked_before = before;
  if (child < 0) return;  // no more processes allowed: the rank runs unsupervised
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(static_cast<int>(ExitCode::lost));
}

void let_signals_in() {
  if (blocked_before) sigprocmask(SIG_SETMASK, &*blocked_before, nullptr);
}

}  // namespace lockstep
