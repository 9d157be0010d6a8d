#pragma once

#include <string>

namespace lockstep {

/// From now on SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and SIGHUP (a closed terminal, unless ignored by nohup) are
/// recorded instead of ending the process. A second SIGINT ends it at once with 130; one Ctrl-C that reaches
/// a rank twice, by itself and through the process that supervises it, counts once. If `speaks`, the first
/// signal prints to standard error what happens next.
void take_stop_signals(bool speaks);

/// From now on SIGTERM, SIGINT and SIGHUP (unless ignored by nohup) remove the temporary files of this
/// process (io/file/temporary_files.h) and end it with ExitCode::preempted; if `speaks`, after a line on
/// standard error. (A launcher ends the other ranks after an error of one with SIGTERM.)
void end_on_stop_signals(bool speaks);

/// Tells whether standard output shows a line that is redrawn: the first signal erases it, because a launcher
/// may kill this process before it can do so itself.
void set_line_drawn(bool drawn);

/// The name of the first signal received since then, "SIGTERM"; "" if none. Thread-safe.
std::string stop_signal();

}  // namespace lockstep
