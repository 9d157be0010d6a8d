#pragma once

// The order of work on the emulated GPU: streams, events and captured graphs. Work does not run where it is
// enqueued but when something waits for it, in an order between streams that a seed decides: a missing wait
// shows as a wrong result.
#include <chrono>
#include <functional>

struct CUstream_st;

namespace emulator {

using Work = std::function<void()>;

enum class When {
  later,   ///< when something waits for it
  at_once  ///< before the call returns: for a collective, for which other processes wait
};

/// Appends work to a stream, or to the graph that is being captured from it. It runs on the thread that waits
/// for it, and reports an error by throwing std::runtime_error with a sentence: that becomes the error of the
/// runtime's next calls.
void enqueue(CUstream_st* stream, Work work, When when = When::later);

/// Work takes as long as it runs here, but on a clock of its own: it starts when its stream and the host have
/// come so far, or in a graph when the nodes before it are done, whenever it really runs. So what overlaps on
/// a GPU overlaps in the times of events.
using Moment = std::chrono::steady_clock::time_point;
/// Runs work that starts at `start`; returns when it ends.
Moment run_timed(const Work& work, Moment start);
/// For the work that is running: when it starts, and that it goes on no earlier than `moment`.
Moment current_moment();
void go_on_at(Moment moment);
/// The host has waited for something that was done at `moment`: what it enqueues from now on starts no
/// earlier.
void host_waited_until(Moment moment);

/// While it lives, this thread runs a function of cudaLaunchHostFunc().
class HostFunctionScope {
 public:
  HostFunctionScope();
  ~HostFunctionScope();
  HostFunctionScope(const HostFunctionScope&) = delete;
  HostFunctionScope& operator=(const HostFunctionScope&) = delete;
};

/// Whether a capture is going on that this stream is part of.
bool is_capturing(CUstream_st* stream);

/// Numbers that decide the order of threads and streams: from LOCKSTEP_EMULATOR_SEED, 1 without it.
unsigned random_below(unsigned bound);

}  // namespace emulator
