#include "launch/loading/h5py_rates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "launch/process/child_process.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

nlohmann::json because(const std::string& reason) { return {{"reason", reason}}; }

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

nlohmann::json time_h5py(const std::string& python, const DataSource& source, bool has_targets, int64_t batch,
                         double seconds, const std::vector<int>& workers) {
  if (python.empty()) return because("--python names no program");
  ChildResult result;
  try {
    result = run_child({python, "-c", kH5pyRates, source.files[0], source.x, has_targets ? source.y : "",
                        std::to_string(batch), fmt::format("{}", seconds),
                        fmt::format("{}", fmt::join(workers, ","))});
  } catch (const Error& error) {
    return because(error.what());
  }
  if (result.exit_code != 0)
    return because(fmt::format("{} ended with {}: {}", python, result.exit_code, last_line(result.err)));
  nlohmann::json json = try_parse_json(result.out);
  return json.is_object() ? json : because(python + " printed something other than JSON");
}

}  // namespace lockstep
