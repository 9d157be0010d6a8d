#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "src/device/exec.h"

namespace lockstep {

class World;

/// The format in which floats are sent. In two bytes, a value is rounded once on its way to the rank that
/// adds it, in fp32, and the sum once on its way back, so that every rank ends with the same values.
enum class Wire { fp32, bf16, fp16 };

/// A part of a buffer, in elements.
struct Slice {
  int64_t offset = 0;
  int64_t size = 0;
  bool operator==(const Slice&) const = default;
};

/// One operation of all ranks on a buffer of the same length on each.
struct Collective {
  enum class Kind {
    all_reduce,      ///< every rank gets the sum
    reduce_scatter,  ///< each rank's slice gets the sum; the rest of its buffer is undefined
    all_gather       ///< each rank's slice reaches every rank
  };
  Kind kind = Kind::all_reduce;
  std::span<float> data;
  Wire wire = Wire::fp32;  ///< of sums; an all-gather copies bits
  /// The caller will call wait() next, so the collective need not be handed to another thread.
  bool awaited = false;
  /// all_gather only: the elements are values of two bytes, two in each float of `data`.
  bool two_bytes = false;
};

/// Collectives on buffers of floats, such as gradients. Every rank makes the same calls in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// A rank's part of a buffer of so many elements. The ranks' slices are disjoint and cover it; they start
  /// and end at multiples of 64 elements, except at the buffer's end. They do not depend on the size of an
  /// element.
  virtual Slice slice_of(int rank, int64_t elements) const = 0;
  /// This rank's part.
  Slice slice(int64_t elements) const { return slice_of(rank(), elements); }

  /// Announces collectives on parts of `buffer`, each of at most `longest` floats. Allocates memory and
  /// registers it with the network now, because neither is possible while a step is captured. Collectives on
  /// other memory, or longer ones, still work outside a capture. `buffer` must outlive this object or the
  /// next call of prepare().
  virtual void prepare(std::span<float> buffer, int64_t longest) = 0;

  /// Starts a collective after the work enqueued on `exec` so far, and returns at once. The data is in the
  /// memory of the backend and must not be accessed before wait(). May be called from any thread, one at a
  /// time. Collectives run in the order of the calls.
  virtual void start(Exec exec, const Collective& collective) = 0;
  void start_all_reduce(Exec exec, std::span<float> data, Wire wire = Wire::fp32) {
    start(exec, {Collective::Kind::all_reduce, data, wire});
  }
  void start_reduce_scatter(Exec exec, std::span<float> data, Wire wire = Wire::fp32) {
    start(exec, {Collective::Kind::reduce_scatter, data, wire});
  }
  void start_all_gather(Exec exec, std::span<float> data) {
    start(exec, {Collective::Kind::all_gather, data, Wire::fp32});
  }
  /// Of an even number of values of two bytes.
  void start_all_gather(Exec exec, std::span<uint16_t> data) {
    const std::span<float> floats(reinterpret_cast<float*>(data.data()), data.size() / 2);
    start(exec, {.kind = Collective::Kind::all_gather, .data = floats, .two_bytes = true});
  }

  /// Work enqueued on `exec` after this call sees the results of all collectives started.
  virtual void wait(Exec exec) = 0;

  /// Throws Error(lost) if a peer is known to be lost; never blocks. On CUDA an enqueued collective cannot
  /// throw, so call this repeatedly while waiting for the GPU, which otherwise never returns.
  virtual void check() {}

  /// Seconds spent in collectives so far, by the host's clock; 0 where only the GPU can tell.
  virtual double busy_seconds() const { return 0; }
};

/// The library that connects the ranks.
enum class Transport {
  automatic,  ///< NCCL on GPUs, MPI on the CPU
  nccl,
  mpi  ///< for GPUs: through host memory, where NCCL cannot be used
};

struct CommunicatorOptions {
  /// All-reduces follow the fixed binary tree over ranks, ((r0 + r1) + (r2 + r3)) ..., instead of the
  /// library's own order. Requires fp32 on the wire and a power of two of ranks, which the caller has
  /// checked.
  bool reproducible = false;
  /// Reduces within each machine first, in fp32, and then across machines, in the format of the wire.
  bool hierarchical = false;
  Transport transport = Transport::automatic;
};

/// The communicator of a single rank, where every collective is a no-op.
std::unique_ptr<Communicator> make_self_communicator();

/// The communicator of a run: make_self_communicator() for one rank, else as the options say. Collective.
/// Throws Error(usage) for options that are impossible with these ranks, naming the config key.
std::unique_ptr<Communicator> make_communicator(World& world, Exec exec, const CommunicatorOptions& options);

/// A communicator for a RoundReducer, which waits for every all-reduce: on the CPU, a second one, which works
/// on the calling thread. Null on GPUs, where one thread enqueues everything and the communicator of the
/// gradients is used. Collective.
std::unique_ptr<Communicator> make_statistics_communicator(World& world, Exec exec);

}  // namespace lockstep
