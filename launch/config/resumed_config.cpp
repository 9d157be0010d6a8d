#include "launch/config/resumed_config.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/core/error.h"
#include "src/train/step/batching.h"

namespace lockstep {

namespace {

/// The step at which a schedule ends, if it has an end.
int64_t schedule_length(const TrainOptions& options, const Standing& standing) {
  if (options.schedule.steps > 0) return options.schedule.steps;
  if (options.train.steps > 0) return options.train.steps;
  const int64_t most = std::numeric_limits<int64_t>::max() / std::max<int64_t>(1, standing.steps_per_epoch);
  return std::min(options.train.epochs, most) * standing.steps_per_epoch;
}

bool batches_fit(const TrainOptions& options, int ranks) {
  try {
    plan_batches(options, ranks, /*lanes=*/1, MicroBatchNeeds{});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void name_schedule_length(Config& before, const Config& now, const Standing& standing) {
  if (schedule_length(before, standing) == schedule_length(now, standing))
    before.schedule.steps = now.schedule.steps;
}

std::string schedule_change(const Config& before, const Config& now, const Standing& standing) {
  const int64_t old_length = schedule_length(before, standing);
  const int64_t new_length = schedule_length(now, standing);
  if (old_length == new_length) return "";
  const double old_lr = Schedule(before.schedule, before.optimizer.lr, old_length).lr(standing.position);
  const double new_lr = Schedule(now.schedule, now.optimizer.lr, new_length).lr(standing.position);
  if (old_lr == new_lr) return "";
  return fmt::format(
      "schedule.name = \"{}\" now ends at step {} instead of step {}: the learning rate of step {} is "
      "{:.3g} instead of {:.3g}. Set schedule.steps = {} to keep the schedule as it was.",
      now.schedule.name, new_length, old_length, standing.position + 1, new_lr, old_lr, old_length);
}

std::string follow_ranks(TrainOptions& options, int ranks) {
  // Without train.micro_batch, the number determines the size of a micro-batch.
  if (options.train.accumulation == 0 || (options.train.micro_batch == 0 && !options.run.reproducible))
    return "";
  TrainOptions follows = options;
  follows.train.accumulation = 0;
  if (batches_fit(options, ranks) || !batches_fit(follows, ranks)) return "";
  const int64_t given = std::exchange(options.train.accumulation, 0);
  const std::string now =
      options.train.micro_batch == 0
          ? "follows from the batch"
          : fmt::format("is {}", options.train.global_batch / (int64_t{ranks} * options.train.micro_batch));
  return fmt::format("train.accumulation = {} was for another number of ranks: on {} it {}.", given, ranks,
                     now);
}

}  // namespace lockstep
