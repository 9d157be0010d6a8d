#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/config/config.h"
#include "launch/config/config_value.h"

namespace lockstep {

/// A choice that another key depends on, which is used only when `key` has one of these values. The key
/// kTargets stands for what the targets are, which the data decides: "classes", "labels" or "values".
struct UsedWith {
  std::string key;
  std::vector<std::string> values;
};
inline constexpr const char* kTargets = "targets";

/// One key of a config file. The table of them is the only place that knows the keys: parsing, --set,
/// --help-config, the echo into the run folder and docs/config.md all come from it.
struct Option {
  std::string key;   ///< "train.epochs"
  std::string type;  ///< "integer", "text", "auto | cpu | cuda", ...
  std::string help;
  std::function<void(Config&, const GivenValue&)> set;
  std::function<std::string(const Config&)> get;  ///< as TOML; "" when it has no value
  std::vector<UsedWith> used_with = {};           ///< all of them; see unused_keys()
  bool free_on_resume = false;  ///< says where or how fast a run runs, never what it computes
};

/// All keys but those of the models, in the order of the echo; a section's keys are together.
const std::vector<Option>& option_table();

}  // namespace lockstep
