#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_schedule(std::vector<Option>& table) {
  table.push_back(choice("schedule.name", FIELD(schedule.name),
                         {"constant", "step", "exponential", "polynomial", "cosine", "one_cycle"},
                         "learning rate schedule, which starts after the warm-up"));
  table.push_back(
      integer("schedule.warmup_steps", FIELD(schedule.warmup_steps), 0,
              "steps of linear warm-up from 0 to optimizer.lr, before the schedule; 0: no warm-up"));
  table.push_back(
      with("schedule.name", {"polynomial", "cosine", "one_cycle"},
           integer("schedule.steps", FIELD(schedule.steps), 0,
                   "polynomial, cosine, one_cycle: length in steps, including the warm-up; 0: the whole "
                   "run")));
  table.push_back(
      with("schedule.name", {"step", "exponential"},
           positive("schedule.gamma", FIELD(schedule.gamma), "step, exponential: factor of the decay")));
  table.push_back(with(
      "schedule.name", {"step", "exponential"},
      integer("schedule.every_steps", FIELD(schedule.every_steps), 0,
              "step, exponential: multiply the learning rate by gamma every N steps; required by both")));
  table.push_back(
      with("schedule.name", {"polynomial"},
           positive("schedule.power", FIELD(schedule.power), "polynomial: exponent; 1 decays linearly")));
  table.push_back(with("schedule.name", {"polynomial", "cosine"},
                       not_negative("schedule.final_lr", FIELD(schedule.final_lr),
                                    "polynomial, cosine: learning rate at the end of the schedule")));
  table.push_back(with("schedule.name", {"one_cycle"},
                       not_negative("schedule.max_lr", FIELD(schedule.max_lr),
                                    "one_cycle: peak learning rate; 0: 10 x optimizer.lr")));
}

}  // namespace lockstep::options
