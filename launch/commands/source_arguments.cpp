#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "launch/commands/data.h"
#include "launch/config/config_value.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

/// The keys that say how data is read.
const std::array kKeys = {"data.task",   "data.classes",   "data.context",
                          "data.stride", "data.length",    "data.missing",
                          "data.layout", "data.normalize", "train.ignore_label"};

void require_reading_key(const std::string& set) {
  const std::string key = set.substr(0, set.find('='));
  if (key.starts_with("data.train.") || std::ranges::find(kKeys, key) != kKeys.end()) return;
  fail(ExitCode::usage,
       "--set {}: '{}' does not say how data is read. Known here: {}, and data.train.sample_axis "
       "and the like.",
       set, key, fmt::join(kKeys, ", "));
}

}  // namespace

Config SourceArguments::config() const {
  const DataSource parsed = parse_data_source(source, "train");
  std::vector<std::string> all{"data.train.files=" + toml_text(parsed.files[0])};
  for (const std::string& set : sets) {
    require_reading_key(set);
    all.push_back(set);
  }
  Config config = load_config("", all);
  config.data.train = source_in(config);
  return config;
}

DataSource SourceArguments::source_in(const Config& config) const {
  DataSource meant = parse_data_source(source, "train");
  const std::vector<std::string> files = meant.files;
  if (!x.empty()) meant.x = x;
  if (!x.empty() || !y.empty()) meant.y = y;
  // The names are the arguments', everything else the keys'.
  DataSource read = config.data.train;
  read.files = files;
  read.x = meant.x;
  read.y = meant.y;
  return read;
}

bool SourceArguments::name_a_source() const {
  return source.rfind(":/") != std::string::npos || !x.empty() || !y.empty() || !sets.empty();
}

void add_source(Command command, SourceArguments& arguments, const std::string& help,
                const std::string& more) {
  command
      .add("SOURCE", arguments.source,
           help.empty() ? "FILE.h5:/GROUP, with the data sets x and y; default group: /train" : help)
      .required();
  command.add("--x", arguments.x, "Another name of x, such as /images; without --y there are no targets")
      .type("NAME");
  command.add("--y", arguments.y, "Another name of y").type("NAME");
  command.add_set(arguments.sets);
  command.footer(more +
                 "--set takes the keys of a config that say how data is read, such as\n"
                 "data.train.sample_axis=last, data.missing=0 or train.ignore_label=255.");
}

}  // namespace lockstep
