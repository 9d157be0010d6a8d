#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/registry.h"
#include "src/core/text/json.h"
#include "src/optim/optimizer.h"
#include "src/tensor/shape.h"
#include "src/train/objective/data_signature.h"

namespace lockstep {

/// What PyTorch computed for one model: a group of a file in tests/golden, whose README.md describes it.
struct Golden {
  struct Entry {
    Shape shape;
    std::vector<float> single;  ///< of the float32 run
    std::vector<double> exact;  ///< of the float64 run; empty where the float32 run is close to it
  };

  std::string name;  ///< "resnet.basic"
  /// "x", "y", "output 0", "start model/conv1.weight", "gradient conv1.weight", "first
  /// state/bn1.running_mean", "last model/conv1.weight", ...
  std::map<std::string, Entry> entries;
  nlohmann::json facts;

  /// Throws Error(data) if there is none.
  const Entry& at(const std::string& entry) const;
  /// The names of the entries that begin with this word.
  std::vector<std::string> names(const std::string& word) const;
  int64_t samples() const { return at("x").shape[0]; }
  int64_t parameters() const;
  /// A model file is written to `folder`.
  ModelSpec model(const std::string& folder) const;
  DataSignature signature() const;
  OptimizerSpec optimizer() const;
};

/// The files of cases in tests/golden without ".h5", in order.
std::vector<std::string> golden_files();
/// The cases of a file.
std::vector<Golden> read_golden(const std::string& file);

/// "conv1.weight 64 3 7 7", ...: the weights and running statistics of torchvision's models of full size, by
/// the model's name.
std::map<std::string, std::set<std::string>> torchvision_names();

}  // namespace lockstep
