#include <vector>

#include "launch/config/model_keys.h"
#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_model(std::vector<Option>& table) {
  table.push_back(
      text("model.name", FIELD(model.name), "built-in model with its own keys (lockstep model list)"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.name = known_model(given);
    config.model.file.clear();
  };
  table.push_back(path("model.file", FIELD(model.file), "model file, in place of a built-in model"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.file = read_path(given);
    if (!config.model.file.empty()) config.model.name.clear();
  };
  table.push_back(
      path("model.init_from", FIELD(init_from),
           "run folder or checkpoint from which a new run takes parameters and running statistics, "
           "by name; what is missing there or has another shape keeps its initialization"));
}

}  // namespace lockstep::options
