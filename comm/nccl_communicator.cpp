#include "comm/nccl_communicator.h"

#include <exception>
#include <thread>
#include <utility>

#include "comm/nccl_check.h"
#include "comm/tree_sum.h"
#include "comm/world.h"
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
  // No rank may still be inside MPI while another is in NCCL: with some fabrics the two wait for each other.
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

class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(World& world, CudaContext& context, bool reproducible)
      : context_(context),
        rank_(world.rank()),
        size_(world.size()),
        reproducible_(reproducible),
        exceptions_at_start_(std::uncaught_exceptions()),
        comm_(connect(world, context)) {}

  ~NcclCommunicator() override {
    if (comm_ == nullptr) return;  // aborted
    // ncclCommDestroy lets the peers finish what they still read from this GPU. After an error they may never
    // do so.
    if (std::uncaught_exceptions() > exceptions_at_start_)
      ncclCommAbort(comm_);
    else
      ncclCommDestroy(comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void reserve(int64_t elements) override {
    const size_t bytes = static_cast<size_t>(elements) * sizeof(float);
    if (reproducible_ && scratch_.size() < bytes) scratch_ = Buffer(Exec{&context_}, Memory::device, bytes);
  }

  void start_sum(Exec, std::span<float> data) override {
    if (data.empty()) return;
    reserve(static_cast<int64_t>(data.size()));
    context_.order(context_.compute_stream(), stream());
    if (reproducible_)
      tree_sum(*this, rank_, size_, 1, data, scratch_.as<float>());
    else
      CHECK(ncclAllReduce(data.data(), data.data(), data.size(), ncclFloat, ncclSum, comm_, stream()));
    started_ = true;
  }

  void wait(Exec) override {
    // With nothing started in this capture, the communication stream is no part of it and may not be waited
    // for.
    if (started_) context_.order(stream(), context_.compute_stream());
    started_ = false;
  }

  void check() override {
    ncclResult_t state = ncclSuccess;
    CHECK(ncclCommGetAsyncError(comm_, &state));
    if (state == ncclSuccess || state == ncclInProgress) return;
    // Ends the kernels that wait for the peer: until then no memory of this GPU can be freed. In a thread of
    // its own, because NCCL (from 2.26 on) then waits until every graph that captured a sum is destroyed, and
    // those are destroyed by whoever catches what is thrown here.
    std::thread([comm = std::exchange(comm_, nullptr)] { ncclCommAbort(comm); }).detach();
    fail(ExitCode::lost,
         "rank {} of {}: NCCL lost a peer or the network: {}. Set NCCL_DEBUG=WARN for its own account.",
         rank_, size_, describe(state));
  }

  // The transport of tree_sum(). A message over NVLink takes about 10 us however short it is, in which 256
  // KiB would pass; the right figure for a given machine has not been measured.
  static constexpr int64_t kWholeVectorElements = 1 << 16;
  void exchange(int partner, std::span<const float> send, std::span<float> receive) {
    CHECK(ncclGroupStart());
    CHECK(ncclSend(send.data(), send.size(), ncclFloat, partner, comm_, stream()));
    CHECK(ncclRecv(receive.data(), receive.size(), ncclFloat, partner, comm_, stream()));
    CHECK(ncclGroupEnd());
  }
  void add(std::span<float> destination, std::span<const float> source) {
    cuda::add_in_place(stream(), destination.data(), source.data(), static_cast<int64_t>(source.size()));
  }

 private:
  cudaStream_t stream() const { return context_.communication_stream(); }

  CudaContext& context_;
  int rank_, size_;
  bool reproducible_;
  int exceptions_at_start_;
  ncclComm_t comm_;
  Buffer scratch_;
  bool started_ = false;  ///< since the last wait()
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(World& world, CudaContext& context, bool reproducible) {
  return std::make_unique<NcclCommunicator>(world, context, reproducible);
}

}  // namespace lockstep
