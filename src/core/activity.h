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
  copy,        ///< copies the batch to the device
  compute,     ///< forward and backward; number: of the micro-batch
  collective,  ///< inside an all-reduce (or one of its halves); number: the bucket, -1 if not of gradients
  wait,        ///< inside any other call that all ranks must make
  device,      ///< waits for its GPU, whose work includes all-reduces
  update,      ///< the optimizer
  report,      ///< tells the user about a step or an epoch
  evaluate,    ///< number: of the round, in which each thread takes one micro-batch
  checkpoint,  ///< writes the run's state
  ended        ///< has left training and waits for the other ranks to leave
};

class FileActivity;

/// What this process is doing, for the report on a run that hangs. Writing costs a few nanoseconds; reading
/// involves no collective. Thread-safe.
class Activity {
 public:
  struct Snapshot {
    int64_t step = 0;  ///< from 1; 0 before the first
    Phase phase = Phase::setup;
    int64_t number = -1;    ///< meaning depends on the phase; -1: none
    uint64_t progress = 0;  ///< grows whenever any work is done
    std::string file;       ///< the file being read or written, and where in it; else ""
  };

  void start_step(int64_t step) { step_.store(step, std::memory_order_relaxed); }
  void enter(Phase phase, int64_t number = -1) {
    restore((static_cast<uint64_t>(phase) << 48) | static_cast<uint64_t>(number + 1));
  }
  /// Records progress within the current phase.
  void progress() { progress_.fetch_add(1, std::memory_order_relaxed); }

  Snapshot snapshot() const;

 private:
  friend class PhaseScope;
  friend class CollectiveScope;
  friend class FileActivity;

  void restore(uint64_t place) {
    place_.store(place, std::memory_order_relaxed);
    progress();
  }

  std::atomic<int64_t> step_ = 0;
  std::atomic<uint64_t> place_ = 0;   ///< phase and number + 1, in one word so that they belong together
  std::atomic<int> summing_ = 0;      ///< threads inside a CollectiveScope
  std::atomic<int64_t> bucket_ = -1;  ///< of the newest CollectiveScope
  std::atomic<uint64_t> progress_ = 0;
  mutable std::mutex mutex_;                // guards files_
  std::vector<const FileActivity*> files_;  ///< open operations, the oldest first
};

/// The activity of this process.
Activity& activity();

/// Enters a phase for the duration of a scope, then restores the previous one.
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

/// Marks one of several threads as all-reducing a bucket of gradients, or other values (-1). Meanwhile the
/// process counts as waiting for other ranks, whatever its other threads do: at the end of the step they wait
/// for this one.
class CollectiveScope {
 public:
  explicit CollectiveScope(int64_t bucket = -1) {
    activity().bucket_.store(bucket, std::memory_order_relaxed);
    activity().summing_.fetch_add(1, std::memory_order_relaxed);
  }
  ~CollectiveScope() {
    activity().summing_.fetch_sub(1, std::memory_order_relaxed);
    activity().progress();
  }
  CollectiveScope(const CollectiveScope&) = delete;
  CollectiveScope& operator=(const CollectiveScope&) = delete;
};

/// Calls that read or write a file, and may block if the file system hangs.
class FileActivity {
 public:
  /// Rows [first, first + count) of a data set; the names outlive the scope.
  FileActivity(std::string_view file, std::string_view dataset, int64_t first, int64_t count);
  explicit FileActivity(std::string_view file) : FileActivity(file, {}, 0, 0) {}
  ~FileActivity();
  FileActivity(const FileActivity&) = delete;
  FileActivity& operator=(const FileActivity&) = delete;
  /// The next call concerns these rows; costs less than another object.
  void move_to(int64_t first, int64_t count) {
    first_.store(first, std::memory_order_relaxed);
    count_.store(count, std::memory_order_relaxed);
    activity().progress();
  }
  std::string describe() const;

 private:
  std::string_view file_, dataset_;
  std::atomic<int64_t> first_, count_;
};

/// What a process in this phase does: "computes micro-batch 3", "reduces bucket 0".
std::string describe(Phase phase, int64_t number);

}  // namespace lockstep
