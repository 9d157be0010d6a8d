#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "io/dataset/order/class_order.h"
#include "io/dataset/order/length_order.h"
#include "io/dataset/order/window_order.h"

namespace lockstep {

/// The order of the samples of an epoch.
struct Order {
  enum class Kind {
    stored,   ///< as they are stored
    full,     ///< any order is equally likely
    windows,  ///< see WindowOrder
    classes,  ///< see ClassOrder
    lengths,  ///< see LengthOrder
  };
  Kind kind = Kind::full;
  WindowShape windows = {};
  std::vector<int64_t> parts = {};  ///< windows: see WindowOrder
  std::shared_ptr<const ClassOrder> classes = nullptr;
  std::shared_ptr<const LengthOrder> lengths = nullptr;
};

/// Determines the samples of each step and rank. The order depends only on (seed, epoch) and on the size of
/// the batches, not on the number of ranks: each rank takes a contiguous part of the slots of a global batch.
class Sampler {
 public:
  Sampler(uint64_t seed, int64_t samples, int64_t global_batch, const Order& order);

  int64_t samples() const { return samples_; }
  /// Every sample occurs once per epoch, except with Order::Kind::classes; the last step may have fewer
  /// samples.
  int64_t steps_per_epoch() const { return (samples_ + global_batch_ - 1) / global_batch_; }
  /// Number of real samples in a step: global_batch, or fewer in the last step of an epoch.
  int64_t valid(int64_t step_in_epoch) const;
  /// The sample in slot [0, global_batch) of a step, or -1 for padding after a short last batch.
  int64_t sample(int64_t epoch, int64_t step_in_epoch, int64_t slot) const;
  /// Those of the slots from `first_slot` on, faster than one by one.
  void samples(int64_t epoch, int64_t step_in_epoch, int64_t first_slot, std::span<int64_t> out) const;
  /// The positions to which the samples of a step are padded; 0: as many as samples have at most.
  int64_t length(int64_t epoch, int64_t step_in_epoch) const;

 private:
  uint64_t key_of(int64_t epoch) const;

  uint64_t seed_;
  int64_t samples_, global_batch_;
  Order::Kind kind_;
  std::shared_ptr<const ClassOrder> classes_;
  std::shared_ptr<const LengthOrder> lengths_;
  std::optional<WindowOrder> windows_;
};

}  // namespace lockstep
