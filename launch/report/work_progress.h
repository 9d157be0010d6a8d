#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "launch/report/drawn_line.h"

namespace lockstep {

/// The progress of a command that handles bytes: from the second second on, a line that is redrawn on a
/// terminal, or else a plain line every few seconds.
class WorkProgress {
 public:
  /// what: "repack a.h5".
  WorkProgress(std::string what, const Environment& environment);
  void show(int64_t done, int64_t all);
  /// Erases the line.
  void clear() { line_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  bool interactive_;
  DrawnLine line_;
  Clock::time_point started_, shown_;
};

}  // namespace lockstep
