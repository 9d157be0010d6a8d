#pragma once

#include "launch/process/environment.h"

namespace lockstep {

/// Started by mpirun or srun, goes on as a child of this process and returns there, before MPI or any thread
/// is started. The parent waits for it and ends as it ends, but for a child that was killed (SIGKILL, as by
/// the system when memory runs out): then it names the rank and ends with ExitCode::lost, where the launcher
/// alone would end the job with 137. Signals reach the child, where they wait for let_signals_in(), and the
/// child ends with its parent. Does nothing without a launcher and under a debugger, which would lose sight
/// of the rank.
void supervise(const Environment& environment);

/// From now on signals act on this process: to be called once it has said what they do.
void let_signals_in();

}  // namespace lockstep
