// NCCL over MPI. Rules are those of the NCCL documentation and the comments in nccl.h. What a communicator's
// operations do happens at once, because other processes wait for it; in a graph, when the graph is launched.
#include <mpi.h>
#include <nccl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/emulator/library.h"
#include "tests/support/emulator/nccl_operation.h"

namespace {

using emulator::nccl::Communicator;
using emulator::nccl::Operation;
using emulator::nccl::Shared;

emulator::Handles<ncclComm_t, Shared> communicators;
thread_local std::string last_error;

ncclResult_t fail(ncclResult_t result, const std::string& sentence) {
  last_error = sentence;
  return result;
}

constexpr std::string_view kIdStart = "emulated NCCL ";

/// Two ranks may not have the same GPU of the same host, and what a host is, NCCL_HOSTID says.
struct Place {
  std::array<char, 256> host{};
  std::array<char, 32> gpu{};
  bool operator==(const Place&) const = default;
};
Place place_of_this_rank() {
  Place place;
  const char* id = std::getenv("NCCL_HOSTID");
  if (id != nullptr)
    std::snprintf(place.host.data(), place.host.size(), "%s", id);
  else
    gethostname(place.host.data(), place.host.size() - 1);
  int device = 0;
  cudaGetDevice(&device);
  cudaDeviceGetPCIBusId(place.gpu.data(), static_cast<int>(place.gpu.size()), device);
  return place;
}

struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Operation> operations;
};
thread_local Group group;

ncclResult_t launch(std::vector<Operation> operations) {
  if (operations.empty()) return ncclSuccess;
  const cudaStream_t stream = operations.front().stream;
  for (const Operation& operation : operations)
    if (operation.stream != stream || operation.comm != operations.front().comm)
      return fail(ncclInvalidUsage, "the emulator takes one communicator and one stream a group");
  const bool started = emulator::launch(
      stream, [operations = std::move(operations)] { emulator::nccl::run(operations); },
      emulator::When::at_once);
  return started ? ncclSuccess : fail(ncclUnhandledCudaError, cudaGetErrorString(cudaPeekAtLastError()));
}

ncclResult_t add(ncclComm_t handle, size_t count, Operation operation) {
  const auto refuse = [](const char* sentence) {
    if (group.depth > 0) group.error = ncclInvalidArgument;
    return fail(ncclInvalidArgument, sentence);
  };
  const Shared* comm = communicators.find(handle);
  if (comm == nullptr) return refuse("no communicator, or one that was destroyed");
  if (operation.type != ncclFloat && operation.type != ncclInt8)
    return refuse("the emulator knows ncclFloat and ncclInt8 only");
  if (count > INT32_MAX) return refuse("more elements than MPI takes");
  operation.count = static_cast<int>(count);
  if (operation.stream == nullptr) return refuse("the emulated runtime has no null stream");
  if (operation.kind == Operation::Kind::all_reduce) {
    const emulator::Range source{operation.source, operation.bytes()};
    const emulator::Range destination{operation.destination, operation.bytes()};
    if (source.start != destination.start && source.overlaps(destination))
      return refuse("in place means the same address");
  } else if (operation.peer < 0 || operation.peer >= (*comm)->size) {
    return refuse("no such peer");
  }
  if (count == 0) return ncclSuccess;
  const bool sends = operation.kind != Operation::Kind::receive,
             receives = operation.kind != Operation::Kind::send;
  if ((sends && operation.source == nullptr) || (receives && operation.destination == nullptr))
    return refuse("a null buffer");
  operation.comm = *comm;
  if (group.depth == 0) return launch({std::move(operation)});
  group.operations.push_back(std::move(operation));
  return ncclSuccess;
}

/// Waits until no graph holds an operation of the communicator, as the real library does from 2.26 on, in
/// ncclCommAbort too; where it would wait for ever, the process ends with a sentence.
void wait_for_graphs(const Shared& comm, const char* call) {
  using namespace std::chrono_literals;
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (comm.use_count() > 1 && emulator::failed_work() == cudaSuccess) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::fprintf(stderr,
                   "%s waits for a graph that has captured an operation of the communicator: destroy the "
                   "graph first.\n",
                   call);
      std::abort();
    }
    std::this_thread::sleep_for(1ms);
  }
}

ncclResult_t take(ncclComm_t handle, Shared* comm) {
  const Shared* found = communicators.find(handle);
  if (found == nullptr) return fail(ncclInvalidArgument, "the communicator has already been destroyed");
  *comm = *found;
  communicators.remove(handle);
  return ncclSuccess;
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  if (version == nullptr) return fail(ncclInvalidArgument, "version is null");
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}
const char* ncclGetLastError(ncclComm_t) { return last_error.c_str(); }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (id == nullptr) return fail(ncclInvalidArgument, "id is null");
  static std::atomic<int> number = 0;
  *id = {};
  std::snprintf(id->internal, sizeof id->internal, "%s%d.%d", kIdStart.data(), static_cast<int>(getpid()),
                ++number);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* handle, int ranks, ncclUniqueId id, int rank) {
  if (handle == nullptr || rank < 0 || rank >= ranks)
    return fail(ncclInvalidArgument, "no rank of this communicator");
  if (std::string_view(id.internal, kIdStart.size()) != kIdStart)
    return fail(ncclInvalidArgument, "the id is not from ncclGetUniqueId");
  if (!emulator::can_initialize()) return fail(ncclUnhandledCudaError, "no GPU, or a capture is going on");
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized == 0 || finalized != 0)
    return fail(ncclSystemError, "the emulated NCCL needs MPI to be initialized");

  // MPI makes a communicator of the processes that have the same color, and a color is an int: two ids with
  // the same hash at the same moment would mix, and the sizes then tell.
  uint32_t color = 2166136261u;
  for (const char byte : id.internal) color = (color ^ static_cast<unsigned char>(byte)) * 16777619u;
  auto comm = std::make_shared<Communicator>();
  if (MPI_Comm_split(MPI_COMM_WORLD, static_cast<int>(color >> 1), rank, &comm->mpi) != MPI_SUCCESS)
    return fail(ncclSystemError, "MPI_Comm_split failed");
  MPI_Comm_set_errhandler(comm->mpi, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm->mpi, &comm->rank);
  MPI_Comm_size(comm->mpi, &comm->size);
  if (comm->rank != rank || comm->size != ranks) {
    MPI_Comm_free(&comm->mpi);
    return fail(ncclInvalidArgument, "the ranks do not agree on who they are");
  }
  const Place mine = place_of_this_rank();
  std::vector<Place> places(static_cast<size_t>(ranks));
  MPI_Allgather(&mine, sizeof mine, MPI_BYTE, places.data(), sizeof mine, MPI_BYTE, comm->mpi);
  for (int other = 0; other < ranks; ++other)
    if (other != rank && places[static_cast<size_t>(other)] == mine) {
      MPI_Comm_free(&comm->mpi);
      return fail(ncclInvalidUsage, "Duplicate GPU detected: rank " + std::to_string(rank) + " and rank " +
                                        std::to_string(other) + " both on CUDA device " + mine.gpu.data());
    }
  *handle = communicators.add(std::move(comm));
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  Shared comm;
  if (const ncclResult_t result = take(handle, &comm)) return result;
  wait_for_graphs(comm, "ncclCommDestroy");
  // Collective, as NCCL's own end is.
  int finalized = 0;
  MPI_Finalized(&finalized);
  return finalized == 0 && MPI_Comm_free(&comm->mpi) == MPI_SUCCESS
             ? ncclSuccess
             : fail(ncclSystemError, "MPI_Comm_free failed");
}
ncclResult_t ncclCommAbort(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  Shared comm;
  if (const ncclResult_t result = take(handle, &comm)) return result;
  wait_for_graphs(comm, "ncclCommAbort");
  return ncclSuccess;  // MPI has no end without the others
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* state) {
  const Shared* comm = communicators.find(handle);
  if (comm == nullptr || state == nullptr)
    return fail(ncclInvalidArgument, "no communicator, or no place for the state");
  *state = (*comm)->failed ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  if (operation != ncclSum) return fail(ncclInvalidArgument, "the emulator knows ncclSum only");
  return add(comm, count, {Operation::Kind::all_reduce, type, send, receive, 0, 0, {}, stream});
}
ncclResult_t ncclSend(const void* send, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return add(comm, count, {Operation::Kind::send, type, send, nullptr, 0, peer, {}, stream});
}
ncclResult_t ncclRecv(void* receive, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return add(comm, count, {Operation::Kind::receive, type, nullptr, receive, 0, peer, {}, stream});
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return fail(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  const Group ended = std::exchange(group, {});
  return ended.error != ncclSuccess ? ended.error : launch(ended.operations);
}
