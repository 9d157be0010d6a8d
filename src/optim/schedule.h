#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

struct ScheduleSpec {
  std::string name = "constant";  ///< constant, step, exponential, polynomial, cosine, one_cycle
  int64_t warmup_steps = 0;       ///< linear from 0 to lr; then the schedule starts
  int64_t steps = 0;              ///< polynomial, cosine, one_cycle: their length; 0: the whole run
  double gamma = 0.1;             ///< step, exponential: factor
  int64_t every_steps = 0;        ///< step, exponential: multiply by gamma every N steps
  double power = 1;               ///< polynomial
  double final_lr = 0;            ///< polynomial, cosine: final learning rate
  double max_lr = 0;              ///< one_cycle: peak learning rate; 0: 10 x lr
};

/// The learning rate of a step: a pure function of (spec, base lr, total steps, step), so resume needs no
/// state.
class Schedule {
 public:
  /// Throws Error(usage) naming the key for an unknown name or invalid number. After the end of the schedule
  /// the learning rate stays constant.
  Schedule(const ScheduleSpec& spec, double base_lr, int64_t total_steps);
  double lr(int64_t step) const;

 private:
  ScheduleSpec spec_;
  double base_lr_;
  int64_t total_steps_;
};

}  // namespace lockstep
