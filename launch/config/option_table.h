#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/config/config.h"
#include "launch/config/config_value.h"

namespace lockstep {

/// A condition under which an option takes effect: `key` has one of these values. The key kTargets stands for
/// the kind of the data's targets: "classes", "labels" or "values".
struct UsedWith {
  std::string key;
  std::vector<std::string> values;
};
inline constexpr const char* kTargets = "targets";

/// One key of a config file. Parsing, --set, --help-config, the config.toml of a run and docs/config.md are
/// all derived from the table of options.
struct Option {
  std::string key;   ///< "train.epochs"
  std::string type;  ///< "integer", "text", "auto | cpu | cuda", ...
  std::string help;
  std::function<void(Config&, const GivenValue&)> set;
  std::function<std::string(const Config&)> get;  ///< as TOML; "" if it has no value
  std::vector<UsedWith> used_with = {};           ///< all must hold; see unused_keys()
  std::vector<std::string> details = {};          ///< lines that the help prints below `help`
  bool free_on_resume = false;  ///< affects only where or how fast a run runs, not its result
};

/// All keys except those of the models, in the order of config.toml. The keys of a section are adjacent.
const std::vector<Option>& option_table();

}  // namespace lockstep
