#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

struct ScheduleSpec {
  std::string name = "constant";  ///< constant, step, exponential, polynomial, cosine, one_cycle
  int64_t warmup_steps = 0;       ///< linear from 0 to lr; then the schedule starts
  int64_t steps = 0;              ///< polynomial, cosine, one_cycle: where they end; 0: with the run
  double gamma = 0.1;             ///< step, exponential: factor
  int64_t every_steps = 0;        ///< step, exponential: multiply by gamma every so many steps
  double power = 1;               ///< polynomial
  double final_lr = 0;            ///< polynomial, cosine: where it ends
  double max_lr = 0;              ///< one_cycle: the top; 0: 10 x lr
};

/// The learning rate of a step: a pure function of (spec, base lr, total steps, step), so resume needs no
/// state.
class Schedule {
 public:
  /// Throws Error(usage) naming the key for an unknown name or impossible number. From the schedule's end on
  /// the learning rate stays what it is there.
  Schedule(const ScheduleSpec& spec, double base_lr, int64_t total_steps);
  double lr(int64_t step) const;

 private:
  ScheduleSpec spec_;
  double base_lr_;
  int64_t total_steps_;
};

}  // namespace lockstep
