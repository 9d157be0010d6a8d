#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "src/device/exec.h"

namespace lockstep {

class World;

/// How floats travel. In two bytes a value is rounded once on its way to the rank that adds it, in fp32, and
/// the sum once on its way back, so that every rank ends with the same numbers.
enum class Wire { fp32, bf16, fp16 };

/// A part of a buffer, in floats.
struct Slice {
  int64_t offset = 0;
  int64_t size = 0;
  bool operator==(const Slice&) const = default;
};

/// One operation of all ranks on a buffer of the same length on each.
struct Collective {
  enum class Kind {
    sum,        ///< all-reduce: every rank gets the sum
    sum_slice,  ///< reduce-scatter: each rank's slice gets the sum; the rest of its buffer is undefined
    gather      ///< all-gather: each rank's slice reaches every rank
  };
  Kind kind = Kind::sum;
  std::span<float> data;
  Wire wire = Wire::fp32;
  /// The caller has nothing left to do but wait(): no other thread need be woken for it.
  bool awaited = false;
};

/// Sums gradients over all ranks. Every rank makes the same calls in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// This rank's part of a buffer of so many floats. The ranks' slices are disjoint and cover it; they start
  /// and end at multiples of 64 floats, but for the buffer's end.
  virtual Slice slice(int64_t elements) const = 0;

  /// What is coming: collectives on parts of `buffer`, each of at most `longest` floats. Memory is allocated
  /// and registered with the network now, because nothing may be while a step is captured. Collectives on
  /// other memory or longer ones still work outside a capture. `buffer` outlives this object or the next
  /// call of prepare().
  virtual void prepare(std::span<float> buffer, int64_t longest) = 0;

  /// Starts a collective after what is enqueued on `exec` so far, and returns at once. The data is in the
  /// memory of the backend and may not be touched before wait(). May be called from any thread, one at a
  /// time. Collectives run in the order of the calls.
  virtual void start(Exec exec, const Collective& collective) = 0;
  void start_sum(Exec exec, std::span<float> data, Wire wire = Wire::fp32) {
    start(exec, {Collective::Kind::sum, data, wire});
  }
  void start_sum_slice(Exec exec, std::span<float> data, Wire wire = Wire::fp32) {
    start(exec, {Collective::Kind::sum_slice, data, wire});
  }
  void start_gather(Exec exec, std::span<float> data) {
    start(exec, {Collective::Kind::gather, data, Wire::fp32});
  }

  /// What is enqueued on `exec` from here on sees the results of everything started.
  virtual void wait(Exec exec) = 0;

  /// Throws Error(lost) if a peer is known to be lost; never blocks. On CUDA a sum that is only enqueued
  /// cannot throw: whoever waits for the GPU calls this meanwhile, or would wait for ever.
  virtual void check() {}

  /// Seconds that collectives have run so far, by the clock of the host; 0 where only a GPU knows.
  virtual double busy_seconds() const { return 0; }
};

/// How ranks reach each other.
enum class Transport {
  automatic,  ///< NCCL on GPUs, MPI on the CPU
  nccl,
  mpi  ///< from GPUs through host memory, where NCCL cannot be used
};

struct CommunicatorOptions {
  /// Sums follow the fixed binary tree over ranks ((r0 + r1) + (r2 + r3)) ..., whatever the library would do;
  /// the number of ranks is then a power of two (the caller has checked), and the wire fp32.
  bool reproducible = false;
  /// Sums within each machine first, then across machines, in fp32 within and on the given wire across.
  bool hierarchical = false;
  Transport transport = Transport::automatic;
};

/// Of one rank alone, which already holds the sum.
std::unique_ptr<Communicator> make_self_communicator();

/// The communicator for a run: self for one rank, else as the options say. Collective. Throws Error(usage)
/// for options that these ranks cannot have, naming the config key.
std::unique_ptr<Communicator> make_communicator(World& world, Exec exec, const CommunicatorOptions& options);

/// For a RoundReducer, which waits for every sum: on the CPU, a second communicator, which sums on the
/// calling thread. Null on GPUs, where one thread enqueues everything and the communicator of the gradients
/// serves. Collective.
std::unique_ptr<Communicator> make_statistics_communicator(World& world, Exec exec);

}  // namespace lockstep
