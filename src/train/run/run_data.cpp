#include "src/train/run/run_data.h"

#include "src/core/error.h"

namespace lockstep {

RunData::RunData(const Dataset& train, const Dataset* validation, int64_t steps_per_epoch, const Order& order)
    : train_(facts_of("train", &train)),
      validation_(facts_of("validation", validation)),
      steps_per_epoch_(steps_per_epoch),
      order_(order) {}

RunData::Set RunData::facts_of(const std::string& name, const Dataset* dataset) {
  if (dataset == nullptr) return {name, 0, "none"};
  return {name, static_cast<int64_t>(dataset->fingerprint()), dataset->describe_stored()};
}

void RunData::add_to(Checkpoint& checkpoint) const {
  for (const Set* set : {&train_, &validation_}) {
    checkpoint.integers[set->name + "_fingerprint"] = set->fingerprint;
    checkpoint.strings[set->name + "_data"] = set->description;
  }
  checkpoint.integers["steps_per_epoch"] = steps_per_epoch_;
  checkpoint.integers["order"] = static_cast<int64_t>(order_.kind);
  checkpoint.integers["order_lanes"] = order_.windows.lanes;
  checkpoint.integers["order_run"] = order_.windows.run;
  checkpoint.integers["order_runs_mixed"] = order_.windows.runs_mixed;
  checkpoint.integers["order_keeps_runs"] = order_.windows.keeps_runs ? 1 : 0;
}

RunData::Changes RunData::since(const LoadedCheckpoint& from) const {
  Changes changes;
  const auto compare = [&](const Set& set) {
    if (from.integer(set.name + "_fingerprint") == set.fingerprint) return false;
    const std::string& before = from.text(set.name + "_data");
    const std::string data = set.name == "train" ? "training data" : "validation data";
    changes.texts.push_back(before == set.description
                                ? fmt::format("the {} has other samples than before: {}", data, before)
                                : fmt::format("the {} was {}, is {}", data, before, set.description));
    return true;
  };
  changes.train = compare(train_);
  changes.validation = compare(validation_);
  const int64_t steps = from.integer("steps_per_epoch");
  changes.steps = steps != steps_per_epoch_;
  if (changes.steps)
    changes.texts.push_back(fmt::format("the steps of an epoch were {}, are {}", steps, steps_per_epoch_));
  return changes;
}

Order order_of_run(const TrainOptions::Data& options, const Dataset& train, int64_t global_batch,
                   const LoadedCheckpoint* from) {
  if (options.sampling.kind != ClassWeights::Kind::none) {
    if (options.shuffle != Shuffle::automatic && options.shuffle != Shuffle::full)
      fail(ExitCode::usage,
           "data.sampling draws from all samples in any order: set data.shuffle = \"full\", or remove one of "
           "the keys.");
    if (!options.buckets.empty())
      fail(ExitCode::usage,
           "data.sampling and data.buckets both determine which samples are in a batch: remove one of them.");
    return class_order(options.sampling.values, train);
  }
  if (!options.buckets.empty()) {
    if (options.shuffle != Shuffle::automatic && options.shuffle != Shuffle::full)
      fail(
          ExitCode::usage,
          "data.buckets takes the samples of each length in any order: set data.shuffle = \"full\", or remove "
          "one of the keys.");
    return length_order(options.buckets, train, global_batch);
  }
  const bool is_automatic = options.shuffle == Shuffle::automatic || options.shuffle == Shuffle::window ||
                            options.shuffle == Shuffle::local;
  // Checkpoints of earlier versions lack it, because those versions always shuffled fully.
  if (from != nullptr && is_automatic && from->checkpoint.integers.contains("order")) {
    const auto kind = static_cast<Order::Kind>(from->integer("order"));
    if (kind == Order::Kind::full || kind == Order::Kind::stored) return {kind};
    const auto& integers = from->checkpoint.integers;
    const auto keeps_runs = integers.find("order_keeps_runs");  // earlier versions lack it
    const WindowShape shape{from->integer("order_lanes"), from->integer("order_run"),
                            from->integer("order_runs_mixed"),
                            keeps_runs != integers.end() && keeps_runs->second != 0};
    // With --allow-changed the batch or data.shuffle may be another one.
    if (kind == Order::Kind::windows && global_batch % shape.lanes == 0 &&
        shape.keeps_runs == (options.shuffle == Shuffle::local))
      return window_order(shape, train);
  }
  const int64_t window = options.shuffle_window > 0 ? options.shuffle_window : options.memory_budget / 2;
  return choose_order(options.shuffle, train, global_batch, window);
}

}  // namespace lockstep
