#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "io/dataset/dataset.h"

namespace lockstep {

/// What tells a run's data from another's. Checkpoints keep it, so that no run goes on with other data
/// unnoticed.
class RunData {
 public:
  /// validation: null for none.
  RunData(const Dataset& train, const Dataset* validation, int64_t steps_per_epoch);

  void add_to(Checkpoint& checkpoint) const;

  struct Changes {
    bool train = false, validation = false;  ///< other samples
    bool steps = false;                      ///< other steps an epoch
    std::vector<std::string> texts;          ///< one each: "the training data was ..., is ..."
  };
  /// Throws Error(data) when the checkpoint does not hold what add_to() adds.
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
};

}  // namespace lockstep
