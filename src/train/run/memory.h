#pragma once

#include <cstdint>
#include <span>

#include "src/device/buffer.h"
#include "src/graph/parameters.h"
#include "src/train/objective/data_signature.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"

namespace lockstep {

/// Bytes of memory that one rank allocates in training, by purpose. It does not include the data set, where
/// that is held in memory (data.memory_budget), and what libraries allocate themselves.
struct TrainingMemory {
  // In the memory of the backend, which is host memory on the CPU.
  int64_t weights = 0;      ///< and running statistics
  int64_t gradients = 0;    ///< of all micro-batches whose sums are held at the same time
  int64_t optimizer = 0;    ///< state, of one rank if it is sharded
  int64_t activations = 0;  ///< of all lanes, with their gradients and workspace
  /// Of a step (of two on CUDA), as stored, and augmented ones of all lanes; with data.gpu_direct also those
  /// of the batches that are read ahead.
  int64_t samples = 0;
  int64_t evaluation = 0;     ///< activations and samples of validation and test
  int64_t communication = 0;  ///< scratch of all-reduces by NCCL
  // In host memory.
  int64_t staging = 0;   ///< scratch of all-reduces by MPI
  int64_t loader = 0;    ///< batches that are read ahead, without what is on the GPU
  int64_t snapshot = 0;  ///< the copy of the model from which checkpoints are written; only on rank 0

  int64_t total() const;
  /// By where it lies.
  BufferBytes on(bool cuda) const;
};

/// A purpose of memory, for tables.
struct MemoryPurpose {
  const char* name;  ///< "batches read ahead"
  const char* key;   ///< "loader_bytes"
  int64_t TrainingMemory::*bytes;
  bool on_device;  ///< on CUDA
};
/// In the order of TrainingMemory.
std::span<const MemoryPurpose> memory_purposes();

/// What the memory of a rank depends on.
struct MemoryFacts {
  const TrainOptions& options;
  const ParameterLayout& layout;
  const DataSignature& data;
  Batching batching;
  int64_t evaluation_batch = 0;  ///< samples of a micro-batch of evaluation
  int ranks = 1;
  int lanes = 1;  ///< threads that compute on the CPU; 1 on CUDA
  bool on_cuda = false;
  int64_t longest_bucket = 0;    ///< floats
  int64_t training_arena = 0;    ///< bytes of a lane's activations
  int64_t augmentation = 0;      ///< bytes of a lane's augmented samples
  int64_t evaluation_arena = 0;  ///< both for evaluation; 0 if nothing is evaluated
  int loader_batches = 1;        ///< batches held at once by the loader of the training data
  int evaluation_batches = 1;    ///< by that of the data to evaluate
};

/// The memory of rank 0.
TrainingMemory training_memory(const MemoryFacts& facts);

/// How a run that has not been started would use memory.
struct MemoryForecast {
  TrainingMemory memory;
  Batching batching;
  int lanes = 1;
  int64_t training_arena = 0;  ///< bytes of a lane's activations, gradients of activations and workspace
  int64_t workspace = 0;       ///< bytes of the largest workspace of a layer, in training_arena
  int64_t unshared = 0;        ///< bytes of a lane if no two tensors shared memory
  int64_t training_flops = 0;  ///< of forward, recomputation and backward, for one sample
};

/// Plans a run of rank 0 of `ranks` on `exec` without allocating its memory: one that evaluates, reads
/// samples from memory if it is on the CPU, and all-reduces in one bucket unless comm.bucket_bytes is set.
/// graph: as built by the model, before rewrites. If a train.micro_batch does not divide train.global_batch,
/// a rank has one such micro-batch. Throws Error(usage) like TrainingSetup.
MemoryForecast forecast_memory(Exec exec, const Graph& graph, const TrainOptions& options,
                               const DataSignature& data, int ranks);

}  // namespace lockstep
