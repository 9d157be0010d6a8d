#include "launch/process/stop_signals.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "io/file/temporary_files.h"
#include "launch/process/hangup.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

struct Named {
  int signal;
  const char* name;
};
constexpr std::array kStopSignals = {Named{SIGTERM, "SIGTERM"}, Named{SIGINT, "SIGINT"},
                                     Named{SIGUSR1, "SIGUSR1"}, Named{SIGUSR2, "SIGUSR2"},
                                     Named{SIGHUP, "SIGHUP"}};

// The data used by the handler; lock-free atomics are safe in it.
std::atomic<int> first_signal = 0;
std::atomic<int> direct_interrupts = 0, forwarded_interrupts = 0;
std::atomic<pid_t> parent = 0;
std::atomic<bool> speaks_up = false, line_drawn = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free);

/// Begins with a line feed, because a terminal shows Ctrl-C as "^C".
void speak(int signal) {
  constexpr std::string_view kLine = "\nstopping after this step and a checkpoint\n";
  constexpr std::string_view kInterrupted =
      "\ninterrupted: stopping after this step and a checkpoint; once more ends at once\n";
  const std::string_view line = signal == SIGINT ? kInterrupted : kLine;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

void on_interrupt(const siginfo_t& info) {
  // A signal to the process group reaches both the rank and its parent, which forwards it. Counted without a
  // clock: each of the two arrives once.
  std::atomic<int>& count = info.si_pid == parent ? forwarded_interrupts : direct_interrupts;
  ++count;
  if (std::max(direct_interrupts.load(), forwarded_interrupts.load()) >= 2) _exit(128 + SIGINT);
}

void remove_drawn_line() {
  if (!line_drawn.exchange(false)) return;
  constexpr std::string_view kRemove = "\r\x1b[K";
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, kRemove.data(), kRemove.size());
}

void on_signal(int signal, siginfo_t* info, void*) {
  const int error = errno;
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
  if (signal == SIGINT) on_interrupt(*info);
  remove_drawn_line();
  if (speaks_up.exchange(false)) speak(signal);
  errno = error;
}

void on_end(int signal) {
  remove_temporary_files();
  remove_drawn_line();
  if (!speaks_up) _exit(static_cast<int>(ExitCode::preempted));
  const auto* const found = std::ranges::find(kStopSignals, signal, &Named::signal);
  // Not a standard stream: its buffer may be in use.
  for (const std::string_view text :
       {std::string_view("\nerror: stopped by "), std::string_view(found->name), std::string_view("\n")}) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  }
  _exit(static_cast<int>(ExitCode::preempted));
}

}  // namespace

void end_on_stop_signals(bool speaks) {
  speaks_up = speaks;
  struct sigaction action {};
  action.sa_handler = on_end;
  sigfillset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    if (signal != SIGHUP || !hangup_is_ignored()) sigaction(signal, &action, nullptr);
}

void take_stop_signals(bool speaks) {
  parent = getppid();
  speaks_up = speaks;
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const Named& each : kStopSignals) sigaddset(&action.sa_mask, each.signal);
  for (const Named& each : kStopSignals) {
    if (each.signal == SIGHUP && hangup_is_ignored())
      std::signal(SIGHUP, SIG_IGN);  // a library may have set its own handler
    else
      sigaction(each.signal, &action, nullptr);
  }
}

void set_line_drawn(bool drawn) { line_drawn = drawn; }

std::string stop_signal() {
  const int signal = first_signal;
  const auto found = std::ranges::find(kStopSignals, signal, &Named::signal);
  return found == kStopSignals.end() ? "" : found->name;
}

}  // namespace lockstep
