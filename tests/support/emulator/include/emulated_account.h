#pragma once

// What a program sees of the account, as it would of a profiler's library: what an emulated GPU would have to
// move and to compute, in a build with LOCKSTEP_ACCOUNT. Nothing computes there: a kernel's threads run to
// see their memory accesses, and calls of libraries only count.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace emulator::account {

/// What a node of a graph was captured for; the program says it (set_label_source), the emulator only keeps
/// it.
struct Label {
  int part = 0;
  std::string layer;
};

/// Kinds of arithmetic whose peaks differ.
enum class Arithmetic { fp32, tf32, bf16 };

/// One kernel, call of a library, copy or fill.
struct Node {
  std::string name;  ///< "" of an event that is recorded
  Label label;
  bool captured = false;                       ///< it belongs to a graph
  uint64_t read_bytes = 0, written_bytes = 0;  ///< each 32-byte sector once, as if caches held everything
  uint64_t accessed_bytes = 0;                 ///< the sectors of every access of a warp
  uint64_t flops = 0;                          ///< of a kernel: those of fmaf()
  uint64_t matrix_flops = 0;                   ///< of a kernel, besides: those of mma_sync(), as of bf16
  Arithmetic arithmetic = Arithmetic::fp32;
  uint64_t shared_accesses = 0;              ///< of threads, to shared memory
  uint64_t blocks = 0, emulated_blocks = 0;  ///< of a kernel

  uint64_t bytes() const { return read_bytes + written_bytes; }
};

/// While one exists, work that runs is counted. At other times kernels and libraries do nothing.
class Recording {
 public:
  /// all_blocks: emulates every block of a kernel, instead of deriving those of a run of equal blocks from
  /// its ends.
  explicit Recording(bool all_blocks = false);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// In the order in which a graph has captured them, or else they have run.
  const std::vector<Node>& nodes() const;
};

/// Called where work is captured.
void set_label_source(std::function<Label()> source);

}  // namespace emulator::account
