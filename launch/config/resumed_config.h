#pragma once

#include <cstdint>
#include <string>

#include "launch/config/config.h"

namespace lockstep {

/// The position of a run in its checkpoint.
struct Standing {
  int64_t position = 0;  ///< completed steps
  int64_t steps_per_epoch = 0;
};

/// If one config gives the length of the schedule and the other uses the length of the run, and both are
/// equal, `before` gets the key of `now`, so that no change is reported.
void name_schedule_length(Config& before, const Config& now, const Standing& standing);

/// A message on how a longer or shorter run changes the learning rate, and how to keep it; "" if it does not.
std::string schedule_change(const Config& before, const Config& now, const Standing& standing);

/// Adapts train.accumulation, given for another number of ranks, if the size of micro-batches determines it.
/// Returns a message about the change, or "".
std::string follow_ranks(TrainOptions& options, int ranks);

}  // namespace lockstep
