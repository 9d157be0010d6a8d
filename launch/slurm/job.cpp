#include "launch/slurm/job.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "launch/process/environment.h"
#include "launch/process/error_stream.h"
#include "launch/process/hangup.h"
#include "launch/process/host.h"
#include "launch/process/launch_link.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

/// How long processes may outlive mpirun before they are killed.
constexpr std::chrono::seconds kOrphans(5);
/// How long until the killed ones must be gone.
constexpr std::chrono::seconds kKilled(15);

/// The interval at which the stop request is repeated, because a launcher may start forwarding signals later
/// than ranks handle them.
constexpr std::chrono::seconds kTellAgain(1);

sigset_t handled_signals(bool with_children) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&signals, signal);
  if (!hangup_is_ignored()) sigaddset(&signals, SIGHUP);
  if (with_children) sigaddset(&signals, SIGCHLD);
  return signals;
}

/// Blocks signals for its lifetime.
class Blocked {
 public:
  explicit Blocked(const sigset_t& signals) { sigprocmask(SIG_BLOCK, &signals, &before_); }
  ~Blocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  sigset_t before_;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  void reset() {
    if (number_ >= 0) close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

/// Starts mpirun in its own process group, so that signals of a terminal are forwarded only once.
pid_t start(const std::vector<std::string>& command, int err, const sigset_t& handled,
            const std::string& link) {
  // mpirun would crash if neither the environment nor the system provides it.
  const std::string home = home_folder();
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  // Reports why the program could not be started; closed by a successful start.
  std::array<int, 2> failure{};
  if (pipe2(failure.data(), O_CLOEXEC) != 0)
    fail(ExitCode::usage, "cannot open a pipe: {}", std::strerror(errno));
  Descriptor reader(failure[0]), writer(failure[1]);
  const pid_t parent = getpid(), child = fork();
  if (child < 0) fail(ExitCode::memory, "cannot start {}: {}", command[0], std::strerror(errno));
  if (child == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    const int none = open("/dev/null", O_RDONLY);
    if (dup2(none, STDIN_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0) {
      setenv(kLaunchVariable, link.c_str(), 1);
      setenv("HOME", home.c_str(), 1);
      // It forwards SIGUSR1 while it runs its job. Before and after that, the signal must not kill it.
      std::signal(SIGUSR1, SIG_IGN);
      sigprocmask(SIG_UNBLOCK, &handled, nullptr);
      execvp(arguments[0], arguments.data());
    }
    const int error = errno;
    [[maybe_unused]] const ssize_t told = write(failure[1], &error, sizeof error);
    _exit(1);
  }
  writer.reset();
  int error = 0;
  if (read(reader.get(), &error, sizeof error) == sizeof error) {
    waitpid(child, nullptr, 0);
    fail(ExitCode::usage, "cannot start {}: {}. Install Open MPI (Debian: openmpi-bin).", command[0],
         std::strerror(error));
  }
  return child;
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;  // the reader is gone
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

/// Forwards what has arrived, without waiting; false at the end.
bool pass_on(int descriptor, ErrorStream& errors) {
  std::array<char, 4096> piece;
  const ssize_t count = read(descriptor, piece.data(), piece.size());
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  write_all(errors.pass({piece.data(), static_cast<size_t>(count)}));
  return count > 0;
}

std::vector<pid_t> children() {
  std::vector<pid_t> found;
  const std::string parent = std::to_string(getpid());
  std::error_code gone;  // processes may end meanwhile
  for (std::filesystem::directory_iterator at("/proc", gone), end; at != end; at.increment(gone)) {
    const std::string name = at->path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos &&
        proc_field(("/proc/" + name + "/status").c_str(), "PPid") == parent)
      found.push_back(std::stoi(name));
  }
  return found;
}

/// Kills remaining ranks once mpirun is gone, possibly killed. They have become this process's children, and
/// must not be in the same run folder as the next attempt.
void await_orphans() {
  const Clock::time_point ended = Clock::now();
  for (;;) {
    const pid_t gone = waitpid(-1, nullptr, WNOHANG);
    if (gone < 0) return;
    if (gone > 0) continue;
    if (Clock::now() > ended + kKilled)
      fail(
          ExitCode::lost,
          "launch: processes of the ranks do not end, though they were killed: a file system or a driver may "
          "hang. Look for them with ps before you start the run again.");
    if (Clock::now() > ended + kOrphans)
      for (const pid_t child : children()) kill(child, SIGKILL);
    poll(nullptr, 0, 20);
  }
}

/// The number of a pending signal.
int take_signal(int descriptor) {
  signalfd_siginfo info{};
  return read(descriptor, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace

HeldSignals::HeldSignals() {
  const sigset_t signals = handled_signals(/*with_children=*/false);
  sigprocmask(SIG_BLOCK, &signals, &before_);
}

HeldSignals::~HeldSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

JobEnd run_job(const std::vector<std::string>& command, int saving_ranks, double patience) {
  const sigset_t signals = handled_signals(/*with_children=*/true);
  const Blocked blocked(signals);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    fail(ExitCode::usage, "cannot open a pipe: {}", std::strerror(errno));
  Descriptor reader(ends[0]), writer(ends[1]);
  // Only this end is non-blocking.
  fcntl(ends[1], F_SETFL, 0);
  const Descriptor signal_queue(signalfd(-1, &signals, SFD_CLOEXEC));
  LaunchLink link;
  const pid_t mpirun = start(command, ends[1], signals, link.name());
  writer.reset();

  JobEnd end;
  ErrorStream errors;
  // mpirun forwards SIGUSR1 to the ranks; after SIGTERM it kills them two seconds later.
  const int stop_signal = saving_ranks > 0 ? SIGUSR1 : SIGTERM;
  int first_signal = 0, interrupts = 0, status = 0;
  std::optional<Clock::time_point> error_seen, told;
  pid_t ended = 0;
  std::array<pollfd, 3> files = {pollfd{reader.get(), POLLIN, 0}, pollfd{signal_queue.get(), POLLIN, 0},
                                 pollfd{link.descriptor(), POLLIN, 0}};
  while (ended == 0) {
    if (!error_seen && !errors.first_error().empty()) error_seen = Clock::now();
    const bool tells = end.asked_to_stop && interrupts < 2 && link.listening() >= saving_ranks;
    if (tells && (!told || Clock::now() - *told >= kTellAgain)) {
      kill(mpirun, stop_signal);
      told = Clock::now();
    }
    poll(files.data(), files.size(), end.asked_to_stop || error_seen ? 1000 : -1);
    if (error_seen && Clock::now() - *error_seen > std::chrono::duration<double>(patience))
      kill(mpirun, SIGKILL);
    if (files[0].revents != 0 && !pass_on(reader.get(), errors)) files[0].fd = -1;
    if (files[2].revents != 0) link.take();
    if ((files[1].revents & POLLIN) == 0) continue;
    const int signal = take_signal(signal_queue.get());
    if (signal == SIGCHLD) {
      ended = waitpid(mpirun, &status, WNOHANG);
      continue;
    }
    if (!end.asked_to_stop) first_signal = signal;
    end.asked_to_stop = true;
    if (signal != SIGINT) continue;
    if (++interrupts >= 2) kill(mpirun, interrupts == 2 ? SIGTERM : SIGKILL);
    if (interrupts == 1 && saving_ranks > 0)
      std::fputs("\nlaunch: the ranks are told; once more ends at once, without a checkpoint\n", stderr);
  }
  link.take();
  end.run_folder = link.run_folder();
  while (files[0].fd >= 0 && poll(files.data(), 1, 0) > 0 && pass_on(reader.get(), errors)) {
  }
  write_all(errors.finish());
  await_orphans();
  end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  // Errors that ranks report after mpirun was killed are consequences of that.
  if (!WIFEXITED(status) && !error_seen)
    end.why =
        fmt::format("mpirun was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else if (errors.first_error().empty())
    end.why = fmt::format("mpirun ended with {}", end.exit_code);
  else
    end.why = errors.first_error();
  // Killed by the signal that this process forwarded, before it was handled.
  if (end.asked_to_stop && end.exit_code == 128 + stop_signal) end.exit_code = 128 + first_signal;
  if (interrupts >= 2) end.exit_code = 128 + SIGINT;
  return end;
}

bool wait_unless_stopped(double seconds) {
  const sigset_t signals = handled_signals(/*with_children=*/false);
  const Blocked blocked(signals);
  const auto whole = static_cast<time_t>(seconds);
  const timespec time{whole, static_cast<long>(1e9 * (seconds - static_cast<double>(whole)))};
  return sigtimedwait(&signals, nullptr, &time) < 0;
}

}  // namespace lockstep
