#pragma once

#include <string>
#include <vector>

#include "src/core/text/json.h"

namespace lockstep {

/// Runs a command that starts `lockstep bench ... --json` and returns the object that it prints. Messages say
/// "bench step ended with 2 on 2 ranks: ...": `bench` is "bench step", `place` is "2 ranks". If the run
/// fails, throws Error with its own message and exit code.
nlohmann::json run_bench(const std::vector<std::string>& command, const std::string& bench,
                         const std::string& place);

}  // namespace lockstep
