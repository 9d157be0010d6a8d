#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "comm/collectives/communicator.h"
#include "src/device/timestamp.h"

namespace lockstep {

/// A communicator that measures how long collectives run and how long they hold up its callers.
class TimedCommunicator : public Communicator {
 public:
  explicit TimedCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Slice slice(int64_t elements) const override { return inner_->slice(elements); }
  void prepare(std::span<float> buffer, int64_t longest) override { inner_->prepare(buffer, longest); }
  void start(Exec exec, const Collective& collective) override;
  void wait(Exec exec) override;
  void check() override { inner_->check(); }
  double busy_seconds() const override { return inner_->busy_seconds(); }

  /// Seconds that this rank's step stood still since the last call: all of wait(), and of start() the
  /// share of the one lane of `lanes` that was in it. On CUDA both only enqueue, and this says nothing.
  double take_seconds(int lanes);

  /// Between these, on CUDA, timestamps of the GPU surround each collective and each wait, in captured steps
  /// too. Every step makes the same calls. Costs a few microseconds a step.
  void begin_step();
  void end_step() { in_step_ = false; }

  struct DeviceSeconds {
    double running = 0;  ///< all collectives, each from when it could start
    double exposed = 0;  ///< the compute stream stood still for them
  };
  /// Of the newest step, once it is done.
  DeviceSeconds device_seconds() const;

 private:
  struct Interval {
    Timestamp begin, end;
  };
  bool times_on_device(Exec exec) const { return in_step_ && exec.on_cuda() && size() > 1; }
  /// The next of the step's intervals; makes it in the first step.
  static Interval& next(std::vector<Interval>& intervals, size_t& used, Exec exec);

  std::unique_ptr<Communicator> inner_;
  std::atomic<int64_t> starting_ = 0, waiting_ = 0;  ///< nanoseconds
  bool in_step_ = false;
  std::vector<Interval> collectives_, waits_;  ///< of one step, in order
  size_t next_collective_ = 0, next_wait_ = 0;
};

}  // namespace lockstep
