#pragma once

#include <cstdint>
#include <memory>

#include "io/dataset/dataset.h"
#include "io/dataset/sampler.h"
#include "src/device/buffer.h"

namespace lockstep {

/// One rank's part of a global batch, raw as stored, in pinned memory: `rows` rows, padding last (zeros,
/// index -1).
struct Batch {
  int64_t epoch = 0;
  int64_t step_in_epoch = 0;
  int64_t global_valid = 0;  ///< real samples of the global batch
  Tensor x;                  ///< (rows, ...) in the data set's dtype
  Tensor y;                  ///< (rows) int32, or (rows, C) float32; empty without targets
  Tensor sample_index;       ///< (rows) int64
};

/// Prefetches batches with threads and bounded memory: at most `depth` batches are held. Ends cleanly when
/// destroyed at any time.
class Loader {
 public:
  struct Options {
    int64_t first_slot = 0;  ///< this rank's slots [first_slot, first_slot + rows) of each global batch
    int64_t rows = 0;
    int64_t first_epoch = 0;
    int64_t first_step = 0;  ///< in first_epoch
    int64_t last_epoch = 0;  ///< stops before this epoch
    /// Threads that read ahead. 0: next() assembles the batch itself, which is the cheapest for a data set in
    /// memory where every core computes; a streamed data set wants at least one.
    int threads = 1;
    int depth = 4;  ///< batches held at once, the caller's included; one when threads = 0
  };
  /// dataset outlives the loader.
  Loader(Exec exec, const Dataset& dataset, const Sampler& sampler, const Options& options);
  ~Loader();

  /// The next batch in order, or null behind the last. Valid until the next call of next(), so a copy of it
  /// to a GPU must be done by then. Blocks until it is read; rethrows a reader's Error at the batch it
  /// belongs to, again on every call.
  const Batch* next();
  /// Since the start.
  struct Seconds {
    double waited = 0;  ///< next() has held up its caller
    /// Of whoever assembled the batches that next() has returned: not running, for want of bytes, the HDF5
    /// library's lock or a core; and at work on them (decompressing, converting, gathering).
    double read = 0, decode = 0;
  };
  Seconds seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
