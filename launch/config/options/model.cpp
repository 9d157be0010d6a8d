#include <vector>

#include "launch/config/model_keys.h"
#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_model(std::vector<Option>& table) {
  table.push_back(text(
      "model.name", FIELD(model.name),
      "built-in model; lockstep model list shows all of them, lockstep model list NAME the keys of one"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.name = known_model(given);
    config.model.file.clear();
  };
  table.push_back(path("model.file", FIELD(model.file), "model file to use instead of a built-in model"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.file = read_path(given);
    if (!config.model.file.empty()) config.model.name.clear();
  };
  table.push_back(path("model.init_from", FIELD(init_from),
                       "run folder, checkpoint or file of safetensors from which a new run loads parameters "
                       "and running statistics by name; tensors that are missing there or differ in shape "
                       "are initialized as usual; if not set: all are"));
}

}  // namespace lockstep::options
