#pragma once

#include <csignal>
#include <string>
#include <vector>

namespace lockstep {

/// How a job ended.
struct JobEnd {
  int exit_code = 0;           ///< 128 + the signal if one killed the launcher
  bool asked_to_stop = false;  ///< by a signal to this process
  std::string run_folder;      ///< reported by the ranks; "" if they did not get that far, or do not train
  std::string why;  ///< reason of a failure: the first error reported by a rank, or what ended the launcher
};

/// While one exists, stop signals are blocked until run_job() or wait_unless_stopped() takes them.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_;
};

/// Starts mpirun with its ranks and waits until all of its processes are gone. Standard output is inherited,
/// so that ranks can draw on a terminal; standard error is forwarded as it arrives.
/// SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 to this process request a stop. `saving_ranks` of the ranks
/// save and exit by themselves: the request is forwarded once all have reported that they handle it
/// (LaunchLink), even if the signal came earlier. With 0, the job is simply ended. A second SIGINT ends
/// everything at once with 130. A rank that reports an error ends the job; if mpirun has not ended `patience`
/// seconds later, it hangs, as it may if a rank dies during startup, and is killed. Throws Error(usage) if
/// mpirun cannot be started, and Error(lost) if processes remain that cannot be killed.
JobEnd run_job(const std::vector<std::string>& command, int saving_ranks, double patience = 120);

/// Waits for this time, or until one of these signals arrives or is pending. Returns true if there was none.
bool wait_unless_stopped(double seconds);

}  // namespace lockstep
