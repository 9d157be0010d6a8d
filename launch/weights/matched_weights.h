#pragma once

#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "io/safetensors/safetensors_file.h"
#include "models/naming.h"
#include "src/graph/graph.h"

namespace lockstep {

/// What a file of weights has for a model.
struct MatchedWeights {
  std::string library;  ///< whose names the file has
  /// The tensors of the model that the file has, as a checkpoint holds them: "model/conv1.weight",
  /// "state/bn1.running_mean". One of another shape has that of the file.
  Checkpoint found = {};
  std::vector<std::string> missing = {};  ///< "fc.weight (10, 512)"
  std::vector<std::string> misshapen =
      {};                                 ///< "fc.weight is (1000, 512) in the file, (10, 512) in the model"
  std::vector<std::string> surplus = {};  ///< "fc2.weight (1000, 512)"
};

/// Reads the weights of a model. Of the namings, takes the one that knows the most names in the file.
/// Counters of batch norm (num_batches_tracked) and what the naming ignores are not surplus. Throws
/// Error(data) for a tensor of integers or with non-finite values, or if a shared parameter has different
/// values under its names.
MatchedWeights match_weights(const SafetensorsFile& file, const Graph& graph,
                             const std::vector<Naming>& namings);

/// The first few of a list, with the number of the others: "a, b and 3 more".
std::string first_of(std::vector<std::string> names);

}  // namespace lockstep
