#include "src/train/run/run_findings.h"

#include "src/train/objective/objective.h"

namespace lockstep {

Reading reading_of(const TrainOptions& options) {
  return {.scaled = options.data.normalize.kind != Normalize::Kind::unit,
          .channels_first = options.data.layout == Layout::channels_first,
          .task = target_task(options),
          .classes = options.data.classes,
          .weighed = options.train.class_weights.kind != ClassWeights::Kind::none};
}

std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching) {
  std::vector<Finding> found;
  if (facts) found = findings_of(*facts, reading_of(options));
  const auto ends_with_length = [&](const Shape& shape) {
    return shape.rank() > 0 && shape[-1] == options.data.length;
  };
  if (options.data.length > 0 && facts && !ends_with_length(facts->sample) &&
      !ends_with_length(facts->target_shape))
    found.push_back({fmt::format("data.length = {} has no effect: {} holds no sequences of variable length",
                                 options.data.length, facts->x),
                     "data.length"});
  if (options.data.shuffle_window > options.data.memory_budget)
    found.push_back({fmt::format("data.shuffle_window is {} bytes, but data.memory_budget is {}: if the data "
                                 "is streamed, chunks are decoded more than once. Set the former to at most "
                                 "half of the latter",
                                 options.data.shuffle_window, options.data.memory_budget),
                     "data.shuffle_window"});
  if (options.data.sampling.kind != ClassWeights::Kind::none &&
      options.train.class_weights.kind != ClassWeights::Kind::none)
    found.push_back(
        {"data.sampling and train.class_weights both weigh classes, which multiplies: set one of "
         "them",
         "data.sampling"});
  if (batching.global_batch >= 2 * samples) {
    const double padding = 1 - static_cast<double>(samples) / static_cast<double>(batching.global_batch);
    found.push_back(
        {fmt::format("train.global_batch = {} is far above the {} training samples: {:.0f} % of what each "
                     "step computes is padding. Set train.global_batch to {} or less",
                     batching.global_batch, samples, 100 * padding, samples),
         "train.global_batch"});
  }
  return found;
}

}  // namespace lockstep
