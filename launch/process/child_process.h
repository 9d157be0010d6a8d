#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// What another program printed until it ended.
struct ChildResult {
  int exit_code = 0;  ///< 128 + the signal when one ended it
  std::string out, err;
};

/// Runs a program, found on PATH, with this process's environment, and waits for it. Throws Error(usage) when
/// it cannot be started.
ChildResult run_child(const std::vector<std::string>& command);

/// The file of the running program.
std::string own_program();

}  // namespace lockstep
