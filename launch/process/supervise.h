#pragma once

#include "launch/process/environment.h"

namespace lockstep {

/// Under mpirun or srun, forks and returns in the child, before MPI or any thread is started. The parent
/// waits for the child and ends with the same status, except if the child was killed (SIGKILL, for example
/// when memory runs out): then it names the rank and ends with ExitCode::lost, where the launcher by itself
/// would end the job with 137. Signals are forwarded to the child, where they are blocked until
/// let_signals_in(), and the child ends with its parent. Does nothing without a launcher, or under a
/// debugger, which would lose track of the rank.
void supervise(const Environment& environment);

/// Unblocks signals in this process. Call it once their handlers are installed.
void let_signals_in();

}  // namespace lockstep
