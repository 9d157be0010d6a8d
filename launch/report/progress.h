#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "launch/report/drawn_line.h"
#include "src/train/run/events.h"

namespace lockstep {

/// Shows the progress of a run. On a terminal one line is redrawn in place, at most 80 columns and never
/// wrapped, even if the window is resized; in a pipe or under Slurm a plain line is printed every few
/// seconds. Epochs and the end are plain lines in both.
class Progress {
 public:
  explicit Progress(const Environment& environment);

  void step(const StepEvent& event);
  void pace(const PaceEvent& event);
  void epoch(const EpochEvent& event, int64_t epochs);
  void end(const EndEvent& event);
  /// Erases the line that is redrawn, so that other lines can be printed.
  void clear() { line_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;

  bool interactive_;
  DrawnLine line_;
  Clock::time_point started_, shown_;
  std::optional<Clock::time_point> warned_;  ///< when a straggler was last reported
  int64_t first_step_ = 0;                   ///< of this process; a resumed run does not start at 1
  double seconds_per_sample_ = 0;            ///< a moving average
};

/// "step 513/2345 ..." in at most `columns`: whole fields are dropped from the end.
std::string progress_line(const StepEvent& event, double samples_per_s, double seconds_left, int columns);
/// "0:42", "12:03", "3:04:05".
std::string readable_seconds(double seconds);

}  // namespace lockstep
