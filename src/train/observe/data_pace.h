#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/dataset/loader.h"

namespace lockstep {

/// How fast samples can be read, beside how fast the model takes them. Rates are those of all ranks, if all
/// are as fast as this one.
struct DataPace {
  double read_per_s = 0;     ///< samples that the threads of the loaders can assemble
  double taken_per_s = 0;    ///< samples that steps would take if none waited for its batch
  double waited = 0;         ///< share of the time for which steps waited
  bool by_decoding = false;  ///< whether the readers decode longer than they wait for bytes
};

/// Measures it in the steps behind the first few, which begin with what is prepared only once.
class DataPaceMeter {
 public:
  /// samples: of all ranks in a step. threads: that read on a rank.
  DataPaceMeter(int64_t samples, int threads) : samples_(static_cast<double>(samples)), threads_(threads) {}

  /// A step took these seconds, its wait for a batch included. input: the loader's totals since the start.
  /// Returns the pace once: after enough steps and time.
  std::optional<DataPace> after_step(double seconds, const Loader::Seconds& input);

 private:
  const double samples_;
  const int threads_;
  bool is_known_ = false;
  int64_t steps_ = 0;
  double seconds_ = 0;
  Loader::Seconds before_;
};

/// Whether the data is what slows the run down.
bool is_held_up(const DataPace& pace);
/// One line for the log, which names what helps if is_held_up(). amplification: see read_amplification().
std::string pace_in_words(const DataPace& pace, int threads, double amplification);

}  // namespace lockstep
