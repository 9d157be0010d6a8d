#pragma once

// What the emulated NCCL does on a communicator: MPI's operations, when the stream or the graph comes to
// them.
#include <mpi.h>
#include <nccl.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace emulator::nccl {

struct Communicator {
  MPI_Comm mpi = MPI_COMM_NULL;
  int rank = 0, size = 0;
  std::atomic<bool> failed = false;
};
using Shared = std::shared_ptr<Communicator>;

/// One call between ncclGroupStart() and ncclGroupEnd(), or alone.
struct Operation {
  enum class Kind { all_reduce, send, receive } kind;
  ncclDataType_t type;
  const void* source;
  void* destination;
  int count;
  int peer;
  Shared comm;
  cudaStream_t stream;

  void start(std::vector<MPI_Request>& requests) const;
  MPI_Datatype mpi_type() const { return type == ncclFloat ? MPI_FLOAT : MPI_INT8_T; }
  size_t bytes() const { return static_cast<size_t>(count) * (type == ncclFloat ? sizeof(float) : 1); }
  void finish(const MPI_Status& status) const;
};

/// All operations of a group make progress together.
void run(const std::vector<Operation>& operations);

}  // namespace emulator::nccl
