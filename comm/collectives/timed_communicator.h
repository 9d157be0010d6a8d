#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "comm/collectives/communicator.h"
#include "src/device/timestamp.h"

namespace lockstep {

/// A communicator that measures how long collectives take and how long they block the caller.
class TimedCommunicator : public Communicator {
 public:
  explicit TimedCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Slice slice_of(int rank, int64_t elements) const override { return inner_->slice_of(rank, elements); }
  void prepare(std::span<float> buffer, int64_t longest) override { inner_->prepare(buffer, longest); }
  void start(Exec exec, const Collective& collective) override;
  void wait(Exec exec) override;
  void check() override { inner_->check(); }
  double busy_seconds() const override { return inner_->busy_seconds(); }

  /// Seconds for which collectives blocked this rank since the last call: the time in wait(), plus that in
  /// start() divided by `lanes`, because only one lane was in it. Meaningless on CUDA, where both only
  /// enqueue.
  double take_seconds(int lanes);

  /// On CUDA, enables GPU timestamps around each collective and each wait between these calls, in captured
  /// steps too. Every step must make the same calls. Costs a few microseconds per step.
  void begin_step();
  void end_step() { in_step_ = false; }

  struct DeviceSeconds {
    double running = 0;  ///< all collectives, each from the time at which it could start
    double exposed = 0;  ///< the compute stream was blocked by them
  };
  /// The times of the newest step, which must have finished.
  DeviceSeconds device_seconds() const;

 private:
  struct Interval {
    Timestamp begin, end;
  };
  bool times_on_device(Exec exec) const { return in_step_ && exec.on_cuda() && size() > 1; }
  /// The next of the step's intervals, created in the first step.
  static Interval& next(std::vector<Interval>& intervals, size_t& used, Exec exec);

  std::unique_ptr<Communicator> inner_;
  std::atomic<int64_t> starting_ = 0, waiting_ = 0;  ///< nanoseconds
  bool in_step_ = false;
  std::vector<Interval> collectives_, waits_;  ///< of one step, in order
  size_t next_collective_ = 0, next_wait_ = 0;
};

}  // namespace lockstep
