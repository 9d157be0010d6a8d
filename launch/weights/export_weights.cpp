#include "launch/weights/export_weights.h"

#include <algorithm>
#include <span>
#include <vector>

#include "io/safetensors/write_safetensors.h"
#include "launch/config/config.h"
#include "launch/weights/published_tensors.h"
#include "models/registry.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/graph/parameters.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/step/task.h"

namespace lockstep {

namespace {

Naming naming_called(const std::string& library, const std::vector<Naming>& namings) {
  if (library.empty()) return namings.front();
  const auto found = std::ranges::find(namings, library, &Naming::library);
  if (found != namings.end()) return *found;
  std::vector<std::string> known;
  for (const Naming& naming : namings) known.push_back(naming.library);
  fail(ExitCode::usage, "--names {}: unknown for this model{}", library, suggestion(library, known));
}

}  // namespace

ExportedWeights export_weights(const LoadedCheckpoint& from, const std::string& path,
                               const std::string& library) {
  const Config config = parse_config(from.text("config"), from.path, "/", {});
  const Naming naming = naming_called(library, namings_of(config.model));
  const Task task(Exec{}, config, parse_signature(from.text("data")));
  const Graph graph = model_factory(config)(task.input(), task.objective().network_output());
  const Parameters parameters(Exec{}, graph);
  restore_model(from.checkpoint, from.path, Exec{}, parameters, config.optimizer.name, /*optimizer=*/nullptr);

  const ParameterLayout& layout = parameters.layout();
  const auto weights = to_logical(Exec{}, layout.parameters, parameters.weights());
  const auto states = to_logical(Exec{}, layout.states, parameters.states());
  std::vector<std::vector<float>> values;
  std::vector<NamedTensor> tensors;
  for (const PublishedTensor& tensor : published_tensors(graph, layout, naming)) {
    const std::span<const float> slot = (tensor.is_state ? states : weights)[tensor.slot];
    values.push_back(published_order(tensor, slot.subspan(static_cast<size_t>(tensor.own.offset),
                                                          static_cast<size_t>(tensor.shape.elements()))));
    tensors.push_back({tensor.name, ConstTensor(values.back().data(), DType::f32, tensor.shape)});
  }
  write_safetensors(path, tensors);
  return {naming.library, layout.parameter_count, static_cast<int64_t>(tensors.size())};
}

}  // namespace lockstep
