#pragma once

#include <bit>
#include <memory>

#include "comm/collectives/communicator.h"
#include "src/device/buffer.h"

namespace lockstep {

/// Which bit of a sum one rank gets wrong.
struct Flip {
  int rank = 0;
  int64_t step = 0;      ///< from 1
  int64_t from_end = 1;  ///< the float, counted from the end of the step's last collective: 1 is the last one
  int bit = 0;
};

/// A communicator whose results have one bit flipped, on one rank in one step. Waits for the device, so steps
/// may not be captured.
class FlippingCommunicator : public Communicator {
 public:
  FlippingCommunicator(std::unique_ptr<Communicator> inner, const Flip& flip)
      : inner_(std::move(inner)), flip_(flip) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Slice slice_of(int rank, int64_t elements) const override { return inner_->slice_of(rank, elements); }
  void prepare(std::span<float> buffer, int64_t longest) override { inner_->prepare(buffer, longest); }
  void start(Exec exec, const Collective& collective) override {
    inner_->start(exec, collective);
    last_ = collective.data;
  }
  void wait(Exec exec) override {
    inner_->wait(exec);
    if (++step_ != flip_.step || rank() != flip_.rank) return;
    float value = 0;
    float* const place = last_.data() + last_.size() - flip_.from_end;
    copy(exec, &value, place, sizeof value);
    synchronize(exec);
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) ^ (1u << flip_.bit));
    copy(exec, place, &value, sizeof value);
    synchronize(exec);
  }
  void check() override { inner_->check(); }

 private:
  std::unique_ptr<Communicator> inner_;
  Flip flip_;
  std::span<float> last_;
  int64_t step_ = 0;
};

}  // namespace lockstep
