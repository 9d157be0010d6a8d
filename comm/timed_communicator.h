#pragma once

#include <atomic>
#include <memory>

#include "comm/communicator.h"

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

}  // namespace lockstep
