#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "src/device/exec.h"

namespace lockstep {

class World;

/// Sums gradients over all ranks. Every rank makes the same calls in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// The longest `data` that start_sum() will see: scratch memory is allocated now, because nothing may be
  /// allocated while a step is captured. A longer one still works outside a capture.
  virtual void reserve(int64_t elements) = 0;

  /// Starts replacing `data` by its sum over all ranks, after what is enqueued on `exec` so far; returns at
  /// once. `data` is in the memory of the backend and may not be touched before wait(). May be called from
  /// any thread, one at a time.
  virtual void start_sum(Exec exec, std::span<float> data) = 0;

  /// What is enqueued on `exec` from here on sees the results of everything started.
  virtual void wait(Exec exec) = 0;

  /// Throws Error(lost) if a peer is known to be lost; never blocks. On CUDA a sum that is only enqueued
  /// cannot throw: whoever waits for the GPU calls this meanwhile, or would wait for ever.
  virtual void check() {}
};

/// Of one rank alone, which already holds the sum.
std::unique_ptr<Communicator> make_self_communicator();

/// The communicator for a run: self for one rank, NCCL on CUDA, MPI on the CPU.
/// reproducible: sums follow the fixed binary tree over ranks ((r0 + r1) + (r2 + r3)) ..., whatever the
/// library would do; the number of ranks is then a power of two (the caller has checked).
std::unique_ptr<Communicator> make_communicator(World& world, Exec exec, bool reproducible);

}  // namespace lockstep
