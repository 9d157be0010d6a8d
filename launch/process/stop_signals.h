#pragma once

#include <string>

namespace lockstep {

/// From now on SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and SIGHUP (a terminal that is closed; unless nohup has it
/// ignored) are remembered instead of ending the process. A second
/// SIGINT ends it at once with 130; one Ctrl-C that reaches a rank twice, by itself and through the process
/// that supervises it, counts once. When `speaks`, standard error says at the first of them what comes next.
void take_stop_signals(bool speaks);

/// Whether a line that is redrawn stands on standard output: the first signal removes it, for a launcher may
/// kill this process before it gets to do so.
void set_line_drawn(bool drawn);

/// The first signal that came since, "SIGTERM"; "" when none has. From any thread.
std::string stop_signal();

}  // namespace lockstep
