#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// What a program left behind when it ended.
struct ProgramResult {
  int exit_code = -1;  ///< 128 + the signal when one ended it
  std::string out, err;
};

/// Runs a program with these arguments in `folder` and waits for it; after `seconds` it is killed, which is
/// exit code 137. It sees no emulated GPU.
ProgramResult run_program(const std::vector<std::string>& command, const std::string& folder,
                          int seconds = 240);

/// `mpirun -np RANKS lockstep ARGUMENTS`, also for root and on fewer cores than ranks; with one rank,
/// lockstep itself.
std::vector<std::string> lockstep_command(int ranks, const std::vector<std::string>& arguments);

}  // namespace lockstep
