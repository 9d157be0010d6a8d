#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/registry.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Every key of a config file. launch/config/options/ binds each key to its field; the defaults are the
/// fields' initial values.
struct Config : TrainOptions {
  ModelSpec model;
  std::string init_from;  ///< [model] init_from: a run folder, a checkpoint or weights, absolute; "": none
};

/// Reads a config file, or the defaults if `path` is empty, and then applies `sets`, each "key=value" with a
/// TOML value or a bare word. Paths in the file are relative to it, those of `sets` to the current folder;
/// the result has absolute paths. Throws Error(usage) with file and line, the key, what was expected and the
/// nearest known name.
Config load_config(const std::string& path, std::span<const std::string> sets);

/// The same from text; `name` stands for the file in messages, and relative paths are relative to `folder`.
Config parse_config(const std::string& text, const std::string& name, const std::string& folder,
                    std::span<const std::string> sets);

/// A complete config file with every effective key, which reads back to the same Config.
std::string echo_config(const Config& config);

/// The same for config.toml in the run folder, without run.dir, so that training it again creates another
/// folder.
std::string config_for_another_run(Config config);

/// The keys in which a resumed run differs from the run it continues, each as "KEY was A, is B", except keys
/// that affect only where and how fast it runs, and a raised train.epochs or train.steps.
std::vector<std::string> changed_keys(const Config& before, const Config& now);

/// A factory of the network that [model] names.
ModelFactory model_factory(const Config& config);

/// Every key with its type, default and meaning, in 80 columns (docs/config.md holds the same text).
std::string config_help();

}  // namespace lockstep
