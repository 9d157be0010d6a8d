#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "io/dataset/order/choose_order.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Identifies a run's data. Stored in checkpoints, so that resuming with different data is detected.
class RunData {
 public:
  /// validation: null for none.
  RunData(const Dataset& train, const Dataset* validation, int64_t steps_per_epoch, const Order& order);

  void add_to(Checkpoint& checkpoint) const;

  struct Changes {
    bool train = false, validation = false;  ///< whether the samples differ
    bool steps = false;                      ///< whether the number of steps per epoch differs
    std::vector<std::string> texts;          ///< one per change: "the training data was ..., is ..."
  };
  /// Throws Error(data) if the checkpoint lacks what add_to() adds.
  Changes since(const LoadedCheckpoint& from) const;

 private:
  struct Set {
    std::string name;  ///< "train" or "validation"
    int64_t fingerprint = 0;
    std::string description;
  };
  static Set facts_of(const std::string& name, const Dataset* dataset);

  Set train_, validation_;
  int64_t steps_per_epoch_;
  Order order_;
};

/// The order of the training samples: that of the checkpoint `from`, if not null, so that a resumed run
/// sees the samples that it would have seen, whatever its memory budget; else see choose_order().
Order order_of_run(const TrainOptions::Data& options, const Dataset& train, int64_t global_batch,
                   const LoadedCheckpoint* from);

}  // namespace lockstep
