#include "launch/weights/import_weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "io/safetensors/safetensors_file.h"
#include "launch/weights/matched_weights.h"
#include "launch/weights/published_tensors.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/graph/parameters.h"

namespace lockstep {

namespace {

/// Builds the model for a number of outputs, or of channels.
using Build = std::function<Graph(int64_t number)>;

/// The number for which a model has the shapes of a file, told from the first tensor of which it decides an
/// extent; none if there is no such tensor.
std::optional<int64_t> number_in(const SafetensorsFile& file, const std::vector<Naming>& namings,
                                 int64_t assumed, const Build& build) {
  const Graph graph = build(assumed), wider = build(assumed + 1);
  const ParameterLayout layout(graph), wider_layout(wider);
  for (const Naming& naming : namings) {
    const auto tensors = published_tensors(graph, layout, naming);
    const auto wider_tensors = published_tensors(wider, wider_layout, naming);
    for (size_t i = 0; i < std::min(tensors.size(), wider_tensors.size()); ++i) {
      const auto stored = std::ranges::find_if(file.tensors(), [&](const StoredTensor& tensor) {
        return tensor.name == tensors[i].name || tensor.name == naming.prefix + tensors[i].name;
      });
      if (stored == file.tensors().end() ||
          stored->extents.size() != static_cast<size_t>(tensors[i].shape.rank()))
        continue;
      for (int axis = 0; axis < tensors[i].shape.rank(); ++axis) {
        const int64_t extent = tensors[i].shape[axis], step = wider_tensors[i].shape[axis] - extent;
        const int64_t more = stored->extents[static_cast<size_t>(axis)] - extent;
        if (step > 0 && more % step == 0 && assumed + more / step > 0) return assumed + more / step;
      }
    }
  }
  return std::nullopt;
}

/// What the model is for: as given, and otherwise with the outputs and channels of the weights.
ModelUse use_of(const SafetensorsFile& file, const ModelArguments& given, const Config& config) {
  const ModelFactory model = model_factory(config);
  const std::vector<Naming> namings = namings_of(config.model);
  ModelUse use = assumed_use(given, config);
  if (given.input.empty() && use.input.dtype != DType::i32) {
    const auto build = [&](int64_t channels) {
      Value input = use.input;
      input.shape[-1] = channels;
      return model(input, use.output);
    };
    use.input.shape[-1] = number_in(file, namings, use.input.shape[-1], build).value_or(use.input.shape[-1]);
  }
  if (given.outputs == 0) {
    const auto build = [&](int64_t width) { return model(use.input, {width, use.output.positions}); };
    use.output.width = number_in(file, namings, use.output.width, build).value_or(use.output.width);
  }
  return use;
}

void require_fit(const SafetensorsFile& file, const std::string& model, const MatchedWeights& weights) {
  std::vector<std::string> problems;
  if (!weights.missing.empty())
    problems.push_back(fmt::format("it lacks {} ({})", counted(weights.missing.size(), "tensor"),
                                   first_of(weights.missing)));
  if (!weights.misshapen.empty())
    problems.push_back(fmt::format("{} of another shape ({})",
                                   counted(weights.misshapen.size(), "tensor is", "tensors are"),
                                   first_of(weights.misshapen)));
  if (!weights.surplus.empty())
    problems.push_back(fmt::format("it has {} that the model has not ({})",
                                   counted(weights.surplus.size(), "tensor"), first_of(weights.surplus)));
  if (problems.empty()) return;
  fail(
      ExitCode::data,
      "{} does not fit model '{}': {}. Set the model and its keys (--model, --set model.KEY=VALUE) and what it "
      "is for (--input, --outputs); lockstep model show {} --parameters lists what it needs. To use the "
      "tensors that fit, train with model.init_from.",
      file.path(), model, fmt::join(problems, "; "), model);
}

/// The shape of samples as stored.
Shape stored_shape(const Shape& channels_last, Layout layout) {
  if (layout != Layout::channels_first || channels_last.rank() < 2) return channels_last;
  std::vector<int64_t> extents = extents_of(channels_last);
  std::ranges::rotate(extents, extents.end() - 1);
  return Shape(extents);
}

}  // namespace

ImportedWeights import_weights(const std::string& path, const std::string& checkpoint,
                               ImportWeightsOptions options) {
  const SafetensorsFile file(path);
  Config config = config_of(options.model);
  // A model of token ids with an output at each position predicts the next token.
  if (const ModelUse use = assumed_use(options.model, config);
      use.input.dtype == DType::i32 && use.output.positions == use.input.shape) {
    options.model.sets.push_back("data.task=tokens");
    config = config_of(options.model);
  }
  const ModelUse use = use_of(file, options.model, config);
  const Graph graph = model_factory(config)(use.input, use.output);
  MatchedWeights weights = match_weights(file, graph, namings_of(config.model));
  require_fit(file, options.model.model, weights);

  DataSignature data = assumed_signature(config, use);
  data.x_shape = stored_shape(data.x_shape, config.data.layout);
  if (data.x_dtype != DType::i32) data.x_dtype = options.stored;
  weights.found.strings = {
      {"lockstep_version", LOCKSTEP_VERSION}, {"config", echo_config(config)}, {"data", to_json(data)}};
  save_checkpoint(checkpoint, weights.found);
  return {weights.library, ParameterLayout(graph).parameter_count,
          static_cast<int64_t>(weights.found.tensors.size()), use};
}

}  // namespace lockstep
