#pragma once

#include <string>
#include <vector>

namespace lockstep {

class Command;

/// The command line of `train`.
struct TrainArguments {
  std::string config, run, resume, device;
  std::vector<std::string> sets;
  bool allow_changed = false, config_help = false;
};

void add_train_options(Command command, TrainArguments& arguments);

/// The absolute path of the run folder that `train` would use with these arguments. Throws Error(usage or
/// data) where `train` would.
std::string chosen_run_folder(const TrainArguments& arguments);

}  // namespace lockstep
