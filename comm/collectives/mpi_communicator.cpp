#include "comm/collectives/mpi_communicator.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "comm/collectives/collectives.h"
#include "comm/collectives/mpi_transport.h"

namespace lockstep {

namespace {

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(const MpiCommunicatorOptions& options)
      : transport_(options.max_elements),
        collectives_(transport_, options.reproducible, options.ranks_per_node) {}

  int rank() const override { return transport_.rank(); }
  int size() const override { return transport_.size(); }
  Slice slice_of(int rank, int64_t elements) const override { return collectives_.slice_of(rank, elements); }
  void prepare(std::span<float>, int64_t longest) override {
    transport_.scratch(collectives_.scratch_size(longest));
  }
  void start(Exec, const Collective& collective) override {
    const Clock::time_point start = Clock::now();
    collectives_.run(collective);
    busy_nanoseconds_ += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
  }
  void wait(Exec) override {}
  double busy_seconds() const override { return 1e-9 * static_cast<double>(busy_nanoseconds_); }

 private:
  using Clock = std::chrono::steady_clock;

  MpiTransport transport_;
  Collectives<MpiTransport> collectives_;
  std::atomic<int64_t> busy_nanoseconds_ = 0;
};

/// Runs the collectives of another communicator in the order in which they were started, in its own thread or
/// in the thread that waits for them, whichever comes first.
class Queue {
 public:
  explicit Queue(std::unique_ptr<Communicator> communicator) : inner(std::move(communicator)) {}

  void push(const Collective& collective) {
    {
      const std::scoped_lock lock(mutex_);
      waiting_.push_back(collective);
    }
    // Waking the thread would take longer than its head start is worth.
    if (!collective.awaited) started_.notify_one();
  }

  /// Runs all remaining collectives. Rethrows what any collective has thrown.
  void drain() {
    std::unique_lock lock(mutex_);
    while (!waiting_.empty() || running_) {
      if (running_)
        done_.wait(lock);
      else
        run_first(lock);
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      started_.wait(lock, [&] { return stop_ || (!waiting_.empty() && !running_); });
      if (stop_) return;
      run_first(lock);
    }
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    started_.notify_all();
  }

  const std::unique_ptr<Communicator> inner;

 private:
  void run_first(std::unique_lock<std::mutex>& lock) {
    const Collective collective = waiting_.front();
    waiting_.pop_front();
    running_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      inner->start(Exec{}, collective);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    running_ = false;
    if (failure) {
      failure_ = failure;
      waiting_.clear();
    }
    done_.notify_all();
  }

  std::mutex mutex_;                 // guards everything below
  std::condition_variable started_;  ///< for the thread: there is something to run
  std::condition_variable done_;     ///< for drain(): nothing runs
  std::deque<Collective> waiting_;
  bool running_ = false, stop_ = false;
  std::exception_ptr failure_;
};

class BackgroundCommunicator : public Communicator {
 public:
  explicit BackgroundCommunicator(std::unique_ptr<Communicator> inner)
      : queue_(std::make_shared<Queue>(std::move(inner))),
        exceptions_at_start_(std::uncaught_exceptions()),
        thread_([queue = queue_] { queue->serve(); }) {}

  ~BackgroundCommunicator() override {
    queue_->stop();
    // After an error here the peers may never join a collective that has been started, and the thread stays
    // in MPI until the process ends.
    if (std::uncaught_exceptions() > exceptions_at_start_)
      thread_.detach();
    else
      thread_.join();
  }

  int rank() const override { return queue_->inner->rank(); }
  int size() const override { return queue_->inner->size(); }
  Slice slice_of(int rank, int64_t elements) const override {
    return queue_->inner->slice_of(rank, elements);
  }
  void prepare(std::span<float> buffer, int64_t longest) override { queue_->inner->prepare(buffer, longest); }
  void start(Exec, const Collective& collective) override { queue_->push(collective); }
  void wait(Exec) override { queue_->drain(); }
  double busy_seconds() const override { return queue_->inner->busy_seconds(); }

 private:
  const std::shared_ptr<Queue> queue_;  ///< shared with the thread, which may outlive this object
  int exceptions_at_start_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const MpiCommunicatorOptions& options) {
  auto communicator = std::make_unique<MpiCommunicator>(options);
  if (!options.background) return communicator;
  return std::make_unique<BackgroundCommunicator>(std::move(communicator));
}

}  // namespace lockstep
