#include "launch/weights/initial_weights.h"

#include <memory>
#include <utility>
#include <vector>

#include "io/safetensors/safetensors_file.h"
#include "launch/run/trained_model.h"
#include "launch/weights/matched_weights.h"
#include "models/registry.h"
#include "src/core/error.h"

namespace lockstep {

InitialWeights initial_weights(World& world, const Config& config) {
  if (!config.init_from.ends_with(".safetensors")) {
    auto loaded = std::make_shared<LoadedCheckpoint>(
        load_trained(world, config.init_from, "model.init_from = " + config.init_from));
    return [loaded](const Value&, const NetworkOutput&) { return std::move(*loaded); };
  }
  // Opened now, so that a damaged file is refused before the data is read.
  return [file = SafetensorsFile(config.init_from), namings = namings_of(config.model),
          model = model_factory(config)](const Value& input, const NetworkOutput& output) {
    MatchedWeights weights = match_weights(file, model(input, output), namings);
    if (weights.found.tensors.empty())
      fail(ExitCode::data, "model.init_from: {} has no tensor of this model. It has {}. The model has {}.",
           file.path(), first_of(weights.surplus), first_of(weights.missing));
    return LoadedCheckpoint{file.path(), std::move(weights.found)};
  };
}

}  // namespace lockstep
