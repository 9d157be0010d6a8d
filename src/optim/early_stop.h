#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

struct EarlyStopSpec {
  std::string metric = "validation_loss";  ///< or validation_METRIC, such as "validation_accuracy"
  int64_t patience = 5;                    ///< stop after so many epochs in a row without improvement
  double min_delta = 0;                    ///< a smaller change is no improvement
};

/// Which values of a metric are better.
enum class Better { lower, higher };

/// Watches a metric over the epochs: which epoch was the best, and whether to go on. A value that is not a
/// number is no improvement.
class EarlyStop {
 public:
  /// Throws Error(usage) naming the key for an impossible number.
  EarlyStop(const EarlyStopSpec& spec, Better better);

  /// Takes the metric of an epoch; returns stops().
  bool update(int64_t epoch, double value);
  /// Whether training should stop now: also after restore(), when the stopped run is resumed.
  bool stops() const { return state_.bad_epochs >= spec_.patience; }

  /// All it remembers, for a checkpoint.
  struct State {
    double best = 0;
    int64_t best_epoch = -1;  ///< -1: none yet, and `best` means nothing
    int64_t bad_epochs = 0;   ///< since then
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }
  /// Whether the newest epoch is the best one.
  bool improved() const { return state_.best_epoch >= 0 && state_.bad_epochs == 0; }

 private:
  EarlyStopSpec spec_;
  Better better_;
  State state_;
};

}  // namespace lockstep
