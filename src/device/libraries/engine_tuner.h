#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "src/device/exec.h"
#include "src/device/libraries/engine_choice.h"

namespace lockstep {

/// Chooses by time the engine that computes each operation that cuDNN can compute (run.autotune). While it
/// lives, CudnnPlans of `exec` take the fastest of several engines that may be chosen, in place of the first.
/// Engines differ in their bits, so rank 0 measures and every rank takes its choice, and so does a run that
/// resumes. Does nothing on the CPU.
class EngineTuner {
 public:
  /// Returns rank 0's text on every rank. Called for each operation, so all ranks must make the same plans
  /// in the same order.
  using Broadcast = std::function<std::string(const std::string&)>;
  struct Ranks {
    bool measures;  ///< on rank 0
    Broadcast broadcast;
  };
  /// known: text() of the run that is resumed, the same on every rank, whose choices are taken unless they
  /// are of another GPU or version of cuDNN; "" if there is none.
  EngineTuner(Exec exec, const std::string& known, Ranks ranks);
  ~EngineTuner();
  EngineTuner(const EngineTuner&) = delete;
  EngineTuner& operator=(const EngineTuner&) = delete;

  /// From here on, plans are made as without a tuner.
  void stop();

  /// What the choices depend on: GPU and version of cuDNN; "" on the CPU.
  const std::string& device() const { return device_; }
  /// The choices, for a run that resumes. Of all operations with more than one engine.
  std::string text() const;
  /// What was timed and chosen, in one line. Complete on the rank that measures.
  std::string describe() const;

 private:
  /// The place of the engine to use. seconds: the time of one run on an engine, infinity if it fails; it may
  /// return early, with an estimate, once that is clear to exceed `limit` by far.
  using Seconds = std::function<double(size_t place, double limit)>;
  size_t choose(const EngineChoice& choice, const Seconds& seconds);
  size_t measure(size_t engines, const Seconds& seconds);
  void start();

  Exec exec_;
  Ranks ranks_;
  std::string device_;
  std::string known_text_, known_device_;
  std::map<uint64_t, size_t> known_, chosen_;  ///< the hash of an operation in words, and the engine's place

  // For describe().
  size_t taken_ = 0;  ///< of known_
  size_t timed_ = 0, timed_engines_ = 0, other_than_first_ = 0;
  double chosen_seconds_ = 0, first_seconds_ = 0;  ///< sums over the operations that were timed
  double tuning_seconds_ = 0;
};

}  // namespace lockstep
