#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// The exit code and the output of a program.
struct ChildResult {
  int exit_code = 0;  ///< 128 + the signal if it was killed by one
  std::string out, err;
};

/// Runs a program from PATH with this process's environment, and waits for it. Throws Error(usage) if it
/// cannot be started.
ChildResult run_child(const std::vector<std::string>& command);

/// The path of the running program.
std::string own_program();

}  // namespace lockstep
