#pragma once

namespace lockstep {

/// Whether SIGHUP was ignored when this program was started, as by nohup. Libraries may have set a handler of
/// their own before main(): UCX, which Open MPI may use, does.
bool hangup_is_ignored();

/// Gives SIGHUP the disposition that the program was started with.
void restore_hangup();

}  // namespace lockstep
