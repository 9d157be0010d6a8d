#pragma once

// Graphs of captured work.
#include <map>
#include <vector>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/include/cuda_runtime.h"
#include "tests/support/emulator/stream.h"

namespace emulator {

struct Node {
  Work work;
  When when;
  std::vector<size_t> after;  ///< the nodes that must have run, all with smaller numbers
  int priority;               ///< of the stream it was captured from
  account::Label label;
  bool is_kernel = false;
};

/// A capture that is going on.
struct Capture {
  explicit Capture(CUstream_st* stream) : origin(stream) {}

  /// What the next work on a stream comes after.
  std::vector<size_t> last(CUstream_st* stream) const;
  void add(CUstream_st* stream, int priority, Work work, When when);
  /// The next work on a stream comes after these nodes too.
  void join(CUstream_st* stream, const std::vector<size_t>& nodes);
  /// The newest node on a stream is a kernel.
  void mark_kernel(CUstream_st* stream) { nodes[last_[stream].front()].is_kernel = true; }
  /// Whether the last work of the origin comes after all other.
  bool all_joined() const;

  CUstream_st* origin;
  bool valid = true;
  std::vector<Node> nodes;

 private:
  std::map<CUstream_st*, std::vector<size_t>> last_;
};

/// The error of a call that is not legal while this thread captures, which it also invalidates; cudaSuccess
/// otherwise.
cudaError_t refuse_in_capture();

/// Runs what is left on all streams.
void run_everything();

}  // namespace emulator

struct CUgraph_st {
  std::vector<emulator::Node> nodes;
};
