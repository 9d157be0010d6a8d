#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "io/dataset/dataset.h"
#include "io/dataset/order/sampler.h"
#include "src/device/buffer.h"

namespace lockstep {

/// Where x, y and sample_index of a batch lie in one block of memory, of which a GPU gets all in one copy:
/// one behind the other, at multiples of 256 bytes, the alignment of GPU memory.
struct BatchLayout {
  BatchLayout(size_t x_bytes, size_t y_bytes, int64_t rows);

  size_t y, sample_index;  ///< where they start; x is at the start
  size_t bytes;            ///< of all
};

/// One rank's part of a global batch, raw as stored, in pinned memory: `rows` rows, padding last (zeros,
/// index -1). With Loader::Options::gpu_direct, x is in the memory of a GPU.
struct Batch {
  int64_t epoch = 0;
  int64_t step_in_epoch = 0;
  int64_t global_valid = 0;  ///< real samples of the global batch
  /// (rows, ...) in the data set's dtype. Sequences, and the classes at their positions, have the length of
  /// the batch (Sampler::length()).
  Tensor x;
  Tensor y;             ///< (rows) int32, or (rows, C) float32; empty without targets
  Tensor sample_index;  ///< (rows) int64
  /// The memory of all three, with a BatchLayout; empty: they lie anywhere.
  std::span<const std::byte> block = {};
};

/// Prefetches batches with threads and bounded memory: at most `depth` batches are held. May be destroyed at
/// any time.
class Loader {
 public:
  struct Options {
    int64_t first_slot = 0;  ///< this rank has slots [first_slot, first_slot + rows) of each global batch
    int64_t rows = 0;
    int64_t first_epoch = 0;
    int64_t first_step = 0;  ///< in first_epoch
    int64_t last_epoch = 0;  ///< stops before this epoch
    /// Threads that read ahead. 0: next() assembles the batch itself, which is cheapest for a data set in
    /// memory when every core computes. A streamed data set needs at least one to overlap reading and
    /// computing.
    int threads = 1;
    int depth = 4;                    ///< batches held at once, including the caller's; 1 if threads = 0
    int64_t max_batches = INT64_MAX;  ///< stops after this many
    /// Reads x from the files into the memory of the GPU (FileToGpu). The data set has stored_runs().
    bool gpu_direct = false;

    int batches_held() const { return threads == 0 ? 1 : depth; }
  };
  /// `dataset` must outlive the loader.
  Loader(Exec exec, const Dataset& dataset, const Sampler& sampler, const Options& options);
  ~Loader();

  /// The next batch in order, or null after the last. Valid until the next call of next(), so a copy to a GPU
  /// must have completed by then. Blocks until the batch is ready. Rethrows a reader's Error at the batch in
  /// which it occurred, and at every call after that.
  const Batch* next();
  /// Totals since the start.
  struct Seconds {
    double waited = 0;  ///< time in which next() blocked its caller
    /// Time to assemble the batches that next() has returned, and to prepare those after them. read: the
    /// thread was blocked, waiting for bytes, for the lock of libhdf5 or for a core. decode: it was running
    /// (decompressing, converting, gathering).
    double read = 0, decode = 0;
  };
  Seconds seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
