#include "src/train/run/run_data.h"

#include "src/core/error.h"

namespace lockstep {

RunData::RunData(const Dataset& train, const Dataset* validation, int64_t steps_per_epoch)
    : train_(facts_of("train", &train)),
      validation_(facts_of("validation", validation)),
      steps_per_epoch_(steps_per_epoch) {}

RunData::Set RunData::facts_of(const std::string& name, const Dataset* dataset) {
  if (dataset == nullptr) return {name, 0, "none"};
  return {name, static_cast<int64_t>(dataset->fingerprint()), dataset->describe()};
}

void RunData::add_to(Checkpoint& checkpoint) const {
  for (const Set* set : {&train_, &validation_}) {
    checkpoint.integers[set->name + "_fingerprint"] = set->fingerprint;
    checkpoint.strings[set->name + "_data"] = set->description;
  }
  checkpoint.integers["steps_per_epoch"] = steps_per_epoch_;
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

}  // namespace lockstep
