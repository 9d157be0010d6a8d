#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/config/config.h"
#include "models/registry.h"
#include "src/train/objective/data_signature.h"

namespace lockstep {

class Command;

/// A model named on the command line, without data.
struct ModelArguments {
  std::string model;             ///< a built-in model's name, or a model file
  std::string input, positions;  ///< "": those of the model's standard data
  int64_t outputs = 0;           ///< 0: likewise
  std::vector<std::string> sets = {};
};

/// The options of ModelArguments, for a subcommand.
void add_sample_options(Command command, ModelArguments& arguments);

/// The config of `lockstep train --set model.name=MODEL`, or model.file when MODEL is a file.
Config config_of(const ModelArguments& arguments);

/// The data to build a model for: what the arguments say, else the model's standard data. A model file has no
/// such data and is built for small images. Throws Error(usage).
ModelUse assumed_use(const ModelArguments& arguments, const Config& config);

/// How a checkpoint describes that data. Samples that are not token ids are assumed to be stored as uint8.
DataSignature assumed_signature(const Config& config, const ModelUse& use);

}  // namespace lockstep
