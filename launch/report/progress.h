#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "launch/process/environment.h"
#include "src/train/run/events.h"

namespace lockstep {

/// Tells a person how a run goes. On a terminal one line is redrawn in place, at most 80 columns and never
/// wrapped, whatever the window is resized to; in a pipe or under Slurm a plain line comes every few seconds.
/// Epochs and the end are plain lines in both.
class Progress {
 public:
  explicit Progress(const Environment& environment);
  /// Leaves no half line behind.
  ~Progress();

  void step(const StepEvent& event);
  void epoch(const EpochEvent& event, int64_t epochs);
  void end(const EndEvent& event);
  /// Removes the line that is redrawn, so that other lines can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  /// The columns that a line may take.
  int columns() const;

  Environment environment_;
  size_t drawn_ = 0;  ///< characters of the line that is redrawn
  Clock::time_point started_, shown_;
  std::optional<Clock::time_point> warned_;  ///< of a straggler
  int64_t first_step_ = 0;                   ///< of this process: a resumed run does not start at 1
  double seconds_per_sample_ = 0;            ///< a moving average
};

/// "step 513/2345 ..." cut to `columns`: whole fields are left out from the end.
std::string progress_line(const StepEvent& event, double samples_per_s, double seconds_left, int columns);
/// What removes a line of so many characters, behind which the cursor is, from a terminal of so many columns:
/// one that has become narrower shows it in several rows.
std::string erased_line(size_t characters, int columns);
/// "0:42", "12:03", "3:04:05".
std::string readable_seconds(double seconds);

}  // namespace lockstep
