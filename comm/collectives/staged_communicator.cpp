#include "comm/collectives/staged_communicator.h"

#include <exception>
#include <list>
#include <mutex>

#include "comm/collectives/collectives.h"
#include "comm/collectives/mpi_transport.h"
#include "src/core/background_task.h"
#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/device/cuda_context.h"

namespace lockstep {

namespace {

class StagedCommunicator : public Communicator {
 public:
  StagedCommunicator(CudaContext& context, bool reproducible, int ranks_per_node)
      : context_(context),
        transport_(kMaxMpiElements),
        collectives_(transport_, reproducible, ranks_per_node) {}

  int rank() const override { return transport_.rank(); }
  int size() const override { return transport_.size(); }
  Slice slice_of(int rank, int64_t elements) const override { return collectives_.slice_of(rank, elements); }

  void prepare(std::span<float>, int64_t longest) override {
    const size_t bytes = static_cast<size_t>(longest) * sizeof(float);
    if (staging_.size() < bytes) staging_ = Buffer(Exec{&context_}, Memory::pinned, bytes);
    transport_.scratch(collectives_.scratch_size(longest));
  }

  void start(Exec, const Collective& collective) override {
    if (collective.data.empty()) return;
    if (staging_.size() < collective.data.size_bytes()) {
      // Work already enqueued still uses the old memory.
      CHECK(cudaStreamSynchronize(stream()));
      prepare(collective.data, static_cast<int64_t>(collective.data.size()));
    }
    const int64_t element_bytes = collective.two_bytes ? 2 : 4;
    const Slice all{0, static_cast<int64_t>(collective.data.size_bytes())};
    Slice mine = slice(all.size / element_bytes);
    mine = {mine.offset * element_bytes, mine.size * element_bytes};
    const bool gathers = collective.kind == Collective::Kind::all_gather;
    const bool keeps_slice = collective.kind == Collective::Kind::reduce_scatter;
    context_.order(context_.compute_stream(), stream());
    std::byte* const data = std::as_writable_bytes(collective.data).data();
    copy(staging_.data(), data, gathers ? mine : all);
    CHECK(cudaLaunchHostFunc(stream(), run_on_host, &job_of(collective)));
    copy(data, staging_.data(), keeps_slice ? mine : all);
    started_ = true;
  }

  void wait(Exec) override {
    // If nothing was started in this capture, the communication stream is not part of it and must not be
    // waited on.
    if (started_) context_.order(stream(), context_.compute_stream());
    started_ = false;
  }

  void check() override {
    const std::scoped_lock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  /// The arguments of the host function of one collective; lives at least as long as any graph that refers to
  /// it.
  struct Job {
    StagedCommunicator* self;
    Collective collective;
  };

  cudaStream_t stream() const { return context_.communication_stream(); }

  /// Every step starts the same collectives, so there is one job for each collective of a step.
  Job& job_of(const Collective& collective) {
    for (Job& job : jobs_) {
      const Collective& known = job.collective;
      if (known.kind == collective.kind && known.wire == collective.wire &&
          known.two_bytes == collective.two_bytes && known.data.data() == collective.data.data() &&
          known.data.size() == collective.data.size())
        return job;
    }
    return jobs_.emplace_back(this, collective);
  }

  void copy(std::byte* destination, const std::byte* source, const Slice& bytes) {
    CHECK(cudaMemcpyAsync(destination + bytes.offset, source + bytes.offset, static_cast<size_t>(bytes.size),
                          cudaMemcpyDefault, stream()));
  }

  /// Runs in CUDA's own thread, which must neither call CUDA nor throw. Host functions of a stream run one
  /// after another.
  static void run_on_host(void* argument) {
    const Job& job = *static_cast<Job*>(argument);
    StagedCommunicator& self = *job.self;
    {
      const std::scoped_lock lock(self.mutex_);
      if (self.failure_) return;
    }
    try {
      Collective collective = job.collective;
      collective.data = self.staging_.as<float>().first(collective.data.size());
      self.mpi_.start([&self, collective] { self.collectives_.run(collective); });
      self.mpi_.wait();
    } catch (...) {
      const std::scoped_lock lock(self.mutex_);
      self.failure_ = std::current_exception();
    }
  }

  CudaContext& context_;
  MpiTransport transport_;
  Collectives<MpiTransport> collectives_;
  Buffer staging_;  ///< shared by all collectives, which run one after another on the stream
  std::list<Job> jobs_;
  bool started_ = false;  ///< since the last wait()
  std::mutex mutex_;
  std::exception_ptr failure_;
  BackgroundTask mpi_;  ///< last member, so that its thread ends before the members it uses
};

}  // namespace

std::unique_ptr<Communicator> make_staged_communicator(CudaContext& context, bool reproducible,
                                                       int ranks_per_node) {
  return std::make_unique<StagedCommunicator>(context, reproducible, ranks_per_node);
}

}  // namespace lockstep
