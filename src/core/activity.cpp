#include "src/core/activity.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep {

Activity& activity() {
  static Activity the_activity;
  return the_activity;
}

Activity::Snapshot Activity::snapshot() const {
  const uint64_t place = place_.load(std::memory_order_relaxed);
  Snapshot result{.step = step_.load(std::memory_order_relaxed),
                  .phase = static_cast<Phase>(place >> 48),
                  .number = static_cast<int64_t>(place & ((uint64_t{1} << 48) - 1)) - 1,
                  .progress = progress_.load(std::memory_order_relaxed),
                  .file = {}};
  if (summing_.load(std::memory_order_relaxed) > 0) {
    result.phase = Phase::collective;
    result.number = bucket_.load(std::memory_order_relaxed);
  }
  const std::scoped_lock lock(mutex_);
  if (!files_.empty()) result.file = files_.front()->describe();
  return result;
}

FileActivity::FileActivity(std::string_view file, std::string_view dataset, int64_t first, int64_t count)
    : file_(file), dataset_(dataset), first_(first), count_(count) {
  Activity& here = activity();
  const std::scoped_lock lock(here.mutex_);
  here.files_.push_back(this);
}

FileActivity::~FileActivity() {
  Activity& here = activity();
  here.progress();
  const std::scoped_lock lock(here.mutex_);
  std::erase(here.files_, this);
}

std::string FileActivity::describe() const {
  std::string text(file_);
  if (!dataset_.empty()) text += fmt::format(":{}", dataset_);
  const int64_t first = first_.load(std::memory_order_relaxed),
                count = count_.load(std::memory_order_relaxed);
  if (count > 0) text += fmt::format(", rows {} to {}", first, first + count - 1);
  return text;
}

std::string describe(Phase phase, int64_t number) {
  const auto numbered = [number](const char* verb, const char* noun) {
    return number < 0 ? std::string(verb) : fmt::format("{} {} {}", verb, noun, number);
  };
  switch (phase) {
    case Phase::setup:
      return "sets up";
    case Phase::read:
      return "waits for its batch";
    case Phase::copy:
      return "copies its batch";
    case Phase::compute:
      return numbered("computes", "micro-batch");
    case Phase::collective:
      return number < 0 ? "is in a collective" : fmt::format("reduces bucket {}", number);
    case Phase::wait:
      return "waits for the other ranks";
    case Phase::device:
      return "waits for its GPU";
    case Phase::update:
      return "updates the weights";
    case Phase::report:
      return "reports";
    case Phase::evaluate:
      return numbered("evaluates", "round");
    case Phase::checkpoint:
      return "writes a checkpoint";
    case Phase::ended:
      return "has left the training";
  }
  return "is unknown";
}

}  // namespace lockstep
