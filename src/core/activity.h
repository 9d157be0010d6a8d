#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// What a process is busy with.
enum class Phase : uint8_t {
  setup,       ///< until the first step: data, network, memory, connections
  read,        ///< waits for its next batch
  copy,        ///< hands the batch to the device
  compute,     ///< forward and backward; number: of the micro-batch
  sum,         ///< inside a sum of gradients over the ranks; number: of the bucket, -1 for other sums
  wait,        ///< inside any other call that all ranks must make
  device,      ///< waits for its GPU, whose work includes sums over the ranks
  update,      ///< the optimizer
  report,      ///< tells the user about a step or an epoch
  evaluate,    ///< number: of the round, in which each thread takes one micro-batch
  checkpoint,  ///< writes the run's state
  ended        ///< left the training, and waits for the other ranks to do so
};

class FileActivity;

/// Where this process is in its work, for whoever must say so when it hangs. Writing costs a few nanoseconds,
/// reading takes no part in any collective; both may be done from any thread.
class Activity {
 public:
  struct Snapshot {
    int64_t step = 0;  ///< from 1; 0 before the first
    Phase phase = Phase::setup;
    int64_t number = -1;    ///< what the phase says; -1: none
    uint64_t progress = 0;  ///< grows whenever anything was done
    std::string file;       ///< what is being read or written at the moment, and where in it; else ""
  };

  void start_step(int64_t step) { step_.store(step, std::memory_order_relaxed); }
  void enter(Phase phase, int64_t number = -1) {
    restore((static_cast<uint64_t>(phase) << 48) | static_cast<uint64_t>(number + 1));
  }
  /// The phase is the same, but something was done in it.
  void progress() { progress_.fetch_add(1, std::memory_order_relaxed); }

  Snapshot snapshot() const;

 private:
  friend class PhaseScope;
  friend class SumScope;
  friend class FileActivity;

  void restore(uint64_t place) {
    place_.store(place, std::memory_order_relaxed);
    progress();
  }

  std::atomic<int64_t> step_ = 0;
  std::atomic<uint64_t> place_ = 0;   ///< phase and number + 1, in one word so that they belong together
  std::atomic<int> summing_ = 0;      ///< threads in a sum
  std::atomic<int64_t> bucket_ = -1;  ///< of the newest sum
  std::atomic<uint64_t> progress_ = 0;
  mutable std::mutex mutex_;                // guards files_
  std::vector<const FileActivity*> files_;  ///< open operations, the oldest first
};

/// This process's.
Activity& activity();

/// A phase that ends with a scope, where the phase before goes on.
class PhaseScope {
 public:
  explicit PhaseScope(Phase phase, int64_t number = -1)
      : before_(activity().place_.load(std::memory_order_relaxed)) {
    activity().enter(phase, number);
  }
  ~PhaseScope() { activity().restore(before_); }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  uint64_t before_;
};

/// A thread of many sums values over the ranks: a bucket of gradients, or others (-1). While it does, the
/// process counts as waiting for the others, whatever its other threads do: at the end of the step they wait
/// for this one.
class SumScope {
 public:
  explicit SumScope(int64_t bucket = -1) {
    activity().bucket_.store(bucket, std::memory_order_relaxed);
    activity().summing_.fetch_add(1, std::memory_order_relaxed);
  }
  ~SumScope() {
    activity().summing_.fetch_sub(1, std::memory_order_relaxed);
    activity().progress();
  }
  SumScope(const SumScope&) = delete;
  SumScope& operator=(const SumScope&) = delete;
};

/// One call that reads or writes a file and may hang with its file system.
class FileActivity {
 public:
  /// Rows [first, first + count) of a data set; the names outlive the scope.
  FileActivity(std::string_view file, std::string_view dataset, int64_t first, int64_t count);
  explicit FileActivity(std::string_view file) : FileActivity(file, {}, 0, 0) {}
  ~FileActivity();
  FileActivity(const FileActivity&) = delete;
  FileActivity& operator=(const FileActivity&) = delete;
  std::string describe() const;

 private:
  std::string_view file_, dataset_;
  int64_t first_, count_;
};

/// "computes micro-batch 3", "sums bucket 0": what a process in this phase does.
std::string describe(Phase phase, int64_t number);

}  // namespace lockstep
