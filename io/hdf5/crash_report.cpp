#include "io/hdf5/crash_report.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <mutex>

#include "src/core/error.h"

namespace lockstep::hdf5 {

namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

thread_local const InsideLibhdf5* inside = nullptr;
std::array<struct sigaction, kSignals.size()> before;

void print(const char* text) {
  // A failure to print cannot be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
}

/// Calls only async-signal-safe functions.
void on_crash(int signal, siginfo_t*, void*) {
  if (inside != nullptr) {
    print("error: ");
    print(inside->file());
    print(":");
    print(inside->dataset());
    print(
        ": libhdf5 crashed while reading it, so its data is damaged. Copy or download the file again, or "
        "recreate "
        "it.\n");
    _exit(static_cast<int>(ExitCode::data));
  }
  // As if there were no handler here: restores the previous one, which then gets the signal.
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == signal) sigaction(signal, &before[i], nullptr);
  }
  raise(signal);
}

}  // namespace

InsideLibhdf5::InsideLibhdf5(const char* file, const char* dataset)
    : file_(file), dataset_(dataset), before_(inside) {
  inside = this;
}

InsideLibhdf5::~InsideLibhdf5() { inside = before_; }

void report_crashes() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &before[i]);
  });
}

}  // namespace lockstep::hdf5
