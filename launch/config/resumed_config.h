#pragma once

#include <cstdint>
#include <string>

#include "launch/config/config.h"

namespace lockstep {

/// Where a resumed run stands: in a checkpoint.
struct Standing {
  int64_t position = 0;  ///< steps done
  int64_t steps_per_epoch = 0;
};

/// The lengths of two schedules may be the same though one is named and the other is that of the run: then
/// `before` gets the key of `now`, which is no change.
void name_schedule_length(Config& before, const Config& now, const Standing& standing);

/// What a longer or shorter run does to the learning rate, and how to keep it; "" when it does nothing.
std::string schedule_change(const Config& before, const Config& now, const Standing& standing);

/// A number of micro-batches a rank that was right for another number of ranks is set aside where their size
/// says all. Returns a line that says so, or "".
std::string follow_ranks(TrainOptions& options, int ranks);

}  // namespace lockstep
