#include "comm/collectives/nccl_communicator.h"

#include <exception>
#include <thread>
#include <utility>

#include "comm/collectives/collectives.h"
#include "comm/collectives/nccl_check.h"
#include "comm/collectives/wire.h"
#include "comm/collectives/world.h"
#include "src/core/hash.h"
#include "src/device/buffer.h"
#include "src/device/cuda_context.h"
#include "src/device/elementwise.h"

namespace lockstep {

namespace {

/// A number that differs between any two GPUs of the cluster.
uint64_t gpu_identity(int device) {
  cudaDeviceProp properties{};
  CHECK(cudaGetDeviceProperties(&properties, device));
  return hash_bytes(std::as_bytes(std::span(properties.uuid.bytes)));
}

/// Connects all ranks.
ncclComm_t connect(World& world, const CudaContext& context) {
  ncclUniqueId id{};
  if (world.rank() == 0) CHECK(ncclGetUniqueId(&id));
  world.broadcast(std::as_writable_bytes(std::span(id.internal)));
  const std::vector<uint64_t> gpus = world.gather(gpu_identity(context.device()));
  // No rank may still be inside MPI while another is in NCCL: on some fabrics they would deadlock.
  world.barrier();

  ncclComm_t comm = nullptr;
  const ncclResult_t status = ncclCommInitRank(&comm, world.size(), id, world.rank());
  if (status == ncclInvalidUsage) {
    const auto mine = static_cast<size_t>(world.rank());
    for (size_t other = 0; other < gpus.size(); ++other)
      if (other != mine && gpus[other] == gpus[mine])
        fail(ExitCode::usage,
             "ranks {} and {} were both given GPU {} of their machine. Start one rank a GPU (srun: "
             "--gpus-per-task=1 or "
             "--ntasks-per-node as many as GPUs), or run on the CPU with --device cpu.",
             mine, other, context.device());
  }
  CHECK(status);
  return comm;
}

/// The transport of Collectives over NCCL, in GPU memory, on the communication stream; every call enqueues.
class NcclTransport {
 public:
  NcclTransport(World& world, CudaContext& context)
      : context_(context), rank_(world.rank()), size_(world.size()), comm_(connect(world, context)) {}

  int rank() const { return rank_; }
  int size() const { return size_; }
  ncclComm_t& comm() { return comm_; }
  cudaStream_t stream() const { return context_.communication_stream(); }

  std::span<float> scratch(int64_t elements) {
    const size_t bytes = static_cast<size_t>(elements) * sizeof(float);
    if (scratch_.size() < bytes) scratch_ = Buffer(Exec{&context_}, Memory::device, bytes);
    return scratch_.as<float>().first(static_cast<size_t>(elements));
  }

  void all_reduce(std::span<float> data) {
    CHECK(ncclAllReduce(data.data(), data.data(), data.size(), ncclFloat, ncclSum, comm_, stream()));
  }

  // A message over NVLink takes at least about 10 us, the time of sending 256 KiB; the best value for a given
  // machine has not been measured.
  static constexpr int64_t kWholeVectorElements = 1 << 16;

  /// In one group: one kernel, in which all messages make progress together.
  void exchange(std::span<const Exchange> exchanges) {
    CHECK(ncclGroupStart());
    for (const auto& [to, send, from, receive] : exchanges) {
      if (!send.empty()) CHECK(ncclSend(send.data(), send.size(), ncclInt8, to, comm_, stream()));
      if (!receive.empty()) CHECK(ncclRecv(receive.data(), receive.size(), ncclInt8, from, comm_, stream()));
    }
    CHECK(ncclGroupEnd());
  }

  void add(std::span<float> destination, std::span<const float> source) {
    cuda::add_in_place(stream(), destination.data(), source.data(), static_cast<int64_t>(source.size()));
  }
  void add_tree(std::span<float> destination, const float* others, int count, int position) {
    cuda::add_tree(stream(), destination.data(), others, static_cast<int64_t>(destination.size()), count,
                   position);
  }
  void narrow(Wire wire, std::span<const float> source, uint16_t* destination) {
    cuda::narrow(stream(), dtype_of(wire), source.data(), destination, static_cast<int64_t>(source.size()));
  }
  void add_narrow(Wire wire, std::span<float> destination, const uint16_t* source) {
    cuda::add_narrow(stream(), dtype_of(wire), source, destination.data(),
                     static_cast<int64_t>(destination.size()));
  }
  void widen(Wire wire, std::span<float> destination, const uint16_t* source) {
    cuda::widen(stream(), dtype_of(wire), source, destination.data(),
                static_cast<int64_t>(destination.size()));
  }

 private:
  CudaContext& context_;
  int rank_, size_;
  ncclComm_t comm_;
  Buffer scratch_;
};

class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(World& world, CudaContext& context, bool reproducible, int ranks_per_node)
      : context_(context),
        exceptions_at_start_(std::uncaught_exceptions()),
        transport_(world, context),
        collectives_(transport_, reproducible, ranks_per_node) {}

  ~NcclCommunicator() override {
    ncclComm_t const comm = transport_.comm();
    if (comm == nullptr) return;  // aborted
    // ncclCommDestroy waits for peers that still read from this GPU. After an error they may never finish.
    if (std::uncaught_exceptions() > exceptions_at_start_) {
      ncclCommAbort(comm);
      return;
    }
    ncclCommDestroy(comm);
  }

  int rank() const override { return transport_.rank(); }
  int size() const override { return transport_.size(); }
  Slice slice_of(int rank, int64_t elements) const override { return collectives_.slice_of(rank, elements); }

  // The buffer is not registered with NCCL: a send with memory registered on only one side is undefined, and
  // within a machine registration gains nothing for memory from cudaMalloc.
  void prepare(std::span<float>, int64_t longest) override {
    transport_.scratch(collectives_.scratch_size(longest));
  }

  void start(Exec, const Collective& collective) override {
    if (collective.data.empty()) return;
    context_.order(context_.compute_stream(), transport_.stream());
    collectives_.run(collective);
    started_ = true;
  }

  void wait(Exec) override {
    // If nothing was started in this capture, the communication stream is not part of it and must not be
    // waited on.
    if (started_) context_.order(transport_.stream(), context_.compute_stream());
    started_ = false;
  }

  void check() override {
    ncclResult_t state = ncclSuccess;
    CHECK(ncclCommGetAsyncError(transport_.comm(), &state));
    if (state == ncclSuccess || state == ncclInProgress) return;
    // Aborts the kernels that wait for the peer: until then no memory of this GPU can be freed. In a separate
    // thread, because NCCL (since 2.26) then waits until every graph that captured a collective is destroyed,
    // which happens only where the exception thrown here is caught.
    std::thread([comm = std::exchange(transport_.comm(), nullptr)] { ncclCommAbort(comm); }).detach();
    fail(ExitCode::lost,
         "rank {} of {}: NCCL lost a peer or the network: {}. Set NCCL_DEBUG=WARN for its own account.",
         rank(), size(), describe(state));
  }

 private:
  CudaContext& context_;
  int exceptions_at_start_;
  NcclTransport transport_;
  Collectives<NcclTransport> collectives_;
  bool started_ = false;  ///< since the last wait()
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(World& world, CudaContext& context, bool reproducible,
                                                     int ranks_per_node) {
  return std::make_unique<NcclCommunicator>(world, context, reproducible, ranks_per_node);
}

}  // namespace lockstep
