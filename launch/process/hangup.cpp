#include "launch/process/hangup.h"

#include <csignal>

namespace lockstep {

namespace {

bool ignored_at_start = false;

void look(int, char**, char**) {
  struct sigaction hangup {};
  ignored_at_start = sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
}

// Runs before the constructors of all shared libraries (System V ABI, "Initialization and Termination
// Functions").
[[gnu::section(".preinit_array"), gnu::used]] void (*const look_first)(int, char**, char**) = look;

}  // namespace

bool hangup_is_ignored() { return ignored_at_start; }

void restore_hangup() { std::signal(SIGHUP, ignored_at_start ? SIG_IGN : SIG_DFL); }

}  // namespace lockstep
