#include "src/device/libraries/engine_tuner.h"

#include <fmt/ranges.h>

#include <chrono>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/hash.h"

namespace lockstep {

EngineTuner::EngineTuner(Exec exec, const std::string& known, Ranks ranks)
    : exec_(exec), ranks_(std::move(ranks)), known_text_(known) {
  start();
  std::istringstream lines(known);
  std::getline(lines, known_device_);
  uint64_t operation = 0;
  size_t place = 0;
  if (known_device_ == device_)
    while (lines >> std::hex >> operation >> std::dec >> place) known_[operation] = place;
}

EngineTuner::~EngineTuner() { stop(); }

size_t EngineTuner::choose(const EngineChoice& choice, const Seconds& seconds) {
  const size_t engines = choice.engines;
  const uint64_t hash = hash_name(choice.operation);
  const auto known = known_.find(hash);
  const bool is_known = known != known_.end() && known->second < engines;
  const auto started = std::chrono::steady_clock::now();
  const size_t own = is_known                         ? known->second
                     : ranks_.measures && engines > 1 ? measure(engines, seconds)
                                                      : 0;
  // Also of a single engine: on another rank there may be more, as far as they are compiled at run time.
  std::istringstream answer(ranks_.broadcast(fmt::format("{} {}", own, choice.operation)));
  size_t place = 0;
  std::string of;
  std::getline(answer >> place >> std::ws, of);
  INVARIANT(of == choice.operation, "ranks plan other operations: '{}', but rank 0 '{}'", choice.operation,
            of);
  if (place >= engines)
    fail(
        ExitCode::usage,
        "run.autotune: cuDNN could not make the engine ready here on which rank 0 computes \"{}\". Install the "
        "same driver, cuDNN and CUDA Toolkit on all machines, or set run.autotune = false.",
        choice.operation);
  if (engines == 1) return 0;
  if (is_known)
    ++taken_;
  else
    tuning_seconds_ += choice.preparing_seconds +
                       std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return chosen_[hash] = place;
}

size_t EngineTuner::measure(size_t engines, const Seconds& seconds) {
  constexpr double kFails = std::numeric_limits<double>::infinity();
  size_t fastest = 0;
  double least = kFails, first = kFails;
  for (size_t place = 0; place < engines; ++place) {
    const double its = seconds(place, least);
    if (place == 0) first = its;
    if (its >= least) continue;
    least = its;
    fastest = place;
  }
  ++timed_;
  timed_engines_ += engines;
  if (fastest != 0) ++other_than_first_;
  if (first < kFails) {
    chosen_seconds_ += least;
    first_seconds_ += first;
  }
  return fastest;
}

std::string EngineTuner::text() const {
  if (!exec_.on_cuda()) return known_text_;
  std::string text = device_ + "\n";
  for (const auto& [operation, place] : chosen_) text += fmt::format("{:016x} {}\n", operation, place);
  return text;
}

std::string EngineTuner::describe() const {
  if (!exec_.on_cuda()) return "there is nothing to choose on the CPU";
  std::vector<std::string> parts;
  if (!known_device_.empty() && known_device_ != device_)
    parts.push_back(fmt::format("the run that is resumed chose for {}", known_device_));
  if (taken_ > 0)
    parts.push_back(
        fmt::format("took the engines of {} from the run that is resumed", counted(taken_, "operation")));
  if (timed_ > 0)
    parts.push_back(fmt::format(
        "timed {} for {} in {:.1f} s; {} changed to a faster one, so that all of them take {:.3f} ms instead of {:.3f}",
        counted(timed_engines_, "engine"), counted(timed_, "operation"), tuning_seconds_, other_than_first_,
        1e3 * chosen_seconds_, 1e3 * first_seconds_));
  if (taken_ + timed_ == 0) parts.emplace_back("no operation has more than one engine");
  return fmt::format("{}", fmt::join(parts, "; "));
}

#ifndef LOCKSTEP_HAVE_CUDA

void EngineTuner::start() {}
void EngineTuner::stop() {}

#endif

}  // namespace lockstep
