#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "comm/world.h"
#include "launch/statistics.h"

namespace lockstep {

/// A communicator that adds up how long it holds up its callers.
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

  /// Seconds that this rank's step stood still since the last call: all of wait(), and of start() the
  /// share of the one lane of `lanes` that was in it. On CUDA both only enqueue, and this says nothing.
  double take_seconds(int lanes);

 private:
  std::unique_ptr<Communicator> inner_;
  std::atomic<int64_t> starting_ = 0, waiting_ = 0;  ///< nanoseconds
};

/// Measured steps. Milliseconds of one step.
struct StepTimes {
  int64_t parts = 0, steps_a_part = 0;
  Spread step;  ///< on the slowest rank, over the parts

  /// Where that went in the steps of the middle parts, as means: step = compute + wait + communication, but
  /// for what lies between the clocks.
  struct Shares {
    double compute = 0;         ///< of the mean rank
    double wait = 0;            ///< of the mean rank for the slowest
    double communication = 0;   ///< exposed: of the rank that stood still least
    double compute_spread = 0;  ///< standard deviation over steps and ranks
  };
  std::optional<Shares> shares;  ///< none where work is only enqueued
};

/// Collective. Runs a few steps to warm up and then `steps` in ten equal parts, each ended by flush(). `run`
/// gets the step's number, from 1.
StepTimes time_steps(World& world, Exec exec, TimedCommunicator& communicator, int lanes, int64_t steps,
                     const std::function<void(int64_t)>& run, const std::function<void()>& flush);

}  // namespace lockstep
