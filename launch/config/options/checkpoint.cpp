#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_checkpoint(std::vector<Option>& table) {
  table.push_back(free_on_resume(integer("checkpoint.every_epochs", FIELD(checkpoint.every_epochs), 0,
                                         "save a checkpoint every N epochs; 0 disables")));
  table.push_back(free_on_resume(integer("checkpoint.every_steps", FIELD(checkpoint.every_steps), 0,
                                         "save a checkpoint every N steps; 0 disables")));
  table.push_back(free_on_resume(not_negative("checkpoint.every_minutes", FIELD(checkpoint.every_minutes),
                                              "save a checkpoint every N minutes; 0 disables")));
  table.push_back(free_on_resume(integer("checkpoint.keep", FIELD(checkpoint.keep), 1,
                                         "number of newest checkpoints to keep, besides the best one")));
  table.push_back(
      free_on_resume(not_negative("checkpoint.keep_every_minutes", FIELD(checkpoint.keep_every_minutes),
                                  "of older checkpoints, also keep one per N minutes; 0 disables")));
}

}  // namespace lockstep::options
