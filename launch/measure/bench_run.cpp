#include "launch/measure/bench_run.h"

#include <sstream>

#include "launch/process/child_process.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// The reason why a run failed: its own error message if it printed one.
std::string reason(const ChildResult& result) {
  std::istringstream lines(result.err);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (const size_t at = line.find("error: "); at != std::string::npos) return line.substr(at + 7);
    if (line.find_first_not_of(" -\t") != std::string::npos) last = line;
  }
  return last.empty() ? "it said nothing" : last;
}

/// The exit code of a run, which mpirun and srun pass on.
ExitCode code_of(int exit_code) {
  for (const ExitCode code : {ExitCode::usage, ExitCode::data, ExitCode::lost, ExitCode::memory})
    if (exit_code == static_cast<int>(code)) return code;
  // Killed by a signal, or failed before Lockstep started.
  return exit_code == static_cast<int>(ExitCode::bug) ? ExitCode::bug : ExitCode::lost;
}

}  // namespace

nlohmann::json run_bench(const std::vector<std::string>& command, const std::string& bench,
                         const std::string& place) {
  const ChildResult result = run_child(command);
  if (result.exit_code != 0)
    fail(code_of(result.exit_code), "{} ended with {} on {}: {}", bench, result.exit_code, place,
         reason(result));
  nlohmann::json json = try_parse_json(result.out);
  if (!json.is_object())
    fail(ExitCode::usage, "{} printed something other than the JSON of {}: {}", command[0], bench,
         result.out.substr(0, 200));
  return json;
}

}  // namespace lockstep
