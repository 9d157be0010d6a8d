#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// How a job ended.
struct JobEnd {
  int exit_code = 0;           ///< 128 + the signal when one ended the launcher
  bool asked_to_stop = false;  ///< by a signal to this process
  std::string why;  ///< of an end that was no success: the first error that a rank reported, or what
                    ///< ended the launcher
};

/// What the ranks do when this process is asked to stop.
enum class OnStop {
  save,     ///< end by themselves, after a checkpoint
  end_now,  ///< just end
};

/// Starts mpirun with its ranks and waits until all of its processes are gone. Standard output is this
/// process's own, so that what is drawn on a terminal stays there; standard error is handed on as it comes.
///
/// SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 to this process are passed on to the ranks until they end; a
/// second SIGINT ends all at once with 130. A rank that reports an error ends the job; mpirun that has not
/// ended `patience` seconds later hangs, as it may when a rank dies while it starts, and is killed. Throws
/// Error(usage) when mpirun cannot be started, and Error(lost) when processes are left that cannot even be
/// killed.
JobEnd run_job(const std::vector<std::string>& command, OnStop on_stop, double patience = 120);

/// Waits, or until one of these signals comes. Returns whether none came.
bool wait_unless_stopped(double seconds);

}  // namespace lockstep
