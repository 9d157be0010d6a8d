#pragma once

#include <csignal>
#include <string>
#include <vector>

namespace lockstep {

/// How a job ended.
struct JobEnd {
  int exit_code = 0;           ///< 128 + the signal when one ended the launcher
  bool asked_to_stop = false;  ///< by a signal to this process
  std::string run_folder;      ///< that the ranks have taken; "" when they got no further, or train nothing
  std::string why;  ///< of an end that was no success: the first error that a rank reported, or what
                    ///< ended the launcher
};

/// As long as one lives, signals that ask to stop wait until run_job() or wait_unless_stopped() takes them.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_;
};

/// Starts mpirun with its ranks and waits until all of its processes are gone. Standard output is this
/// process's own, so that what is drawn on a terminal stays there; standard error is handed on as it comes.
///
/// SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 to this process ask the ranks to stop. `saving_ranks` of them
/// save and end by themselves: they are told once all have said that they listen (LaunchLink), however early
/// the signal came. With 0 the job just ends. A second SIGINT ends all at once with 130. A rank that reports
/// an error ends the job; mpirun that has not ended `patience` seconds later hangs, as it may when a rank
/// dies while it starts, and is killed. Throws Error(usage) when mpirun cannot be started, and Error(lost)
/// when processes are left that cannot even be killed.
JobEnd run_job(const std::vector<std::string>& command, int saving_ranks, double patience = 120);

/// Waits, or until one of these signals comes or has come. Returns whether none did.
bool wait_unless_stopped(double seconds);

}  // namespace lockstep
