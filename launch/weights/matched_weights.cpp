#include "launch/weights/matched_weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "launch/weights/published_tensors.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"
#include "src/graph/parameters.h"

namespace lockstep {

namespace {

/// The tensors of a file by their names without the naming's prefix, without those that are not weights.
std::map<std::string, const StoredTensor*> weights_in(const SafetensorsFile& file, const Naming& naming) {
  std::map<std::string, const StoredTensor*> weights;
  for (const StoredTensor& tensor : file.tensors()) {
    const auto ends_name = [&](const std::string& ending) { return tensor.name.ends_with(ending); };
    if (ends_name("num_batches_tracked") || std::ranges::any_of(naming.ignored, ends_name)) continue;
    const bool prefixed = tensor.name.starts_with(naming.prefix);
    weights.emplace(tensor.name.substr(prefixed ? naming.prefix.size() : 0), &tensor);
  }
  return weights;
}

/// The naming that knows the most of a file's names.
const Naming& naming_of(const SafetensorsFile& file, const Graph& graph, const ParameterLayout& layout,
                        const std::vector<Naming>& namings) {
  const Naming* best = &namings.front();
  std::ptrdiff_t most = 0;
  for (const Naming& naming : namings) {
    const auto weights = weights_in(file, naming);
    const std::ptrdiff_t known =
        std::ranges::count_if(published_tensors(graph, layout, naming),
                              [&](const PublishedTensor& tensor) { return weights.contains(tensor.name); });
    if (known > most) {
      most = known;
      best = &naming;
    }
  }
  return *best;
}

std::string shape_text(const std::vector<int64_t>& extents) {
  return fmt::format("({})", fmt::join(extents, ", "));
}

std::vector<float> finite_floats(const SafetensorsFile& file, const StoredTensor& tensor) {
  std::vector<float> values = file.floats(tensor);
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
    fail(ExitCode::data, "{}: tensor {} has values that are not finite in float32.", file.path(),
         printable(tensor.name));
  return values;
}

void add_to(Checkpoint& checkpoint, const std::string& name, const Shape& shape,
            std::span<const float> values) {
  // At least one byte, because a tensor without elements is not "no tensor".
  auto& storage = checkpoint.storage.emplace_back(std::max<size_t>(values.size_bytes(), 1));
  std::memcpy(storage.data(), values.data(), values.size_bytes());
  checkpoint.tensors.push_back({name, ConstTensor(storage.data(), DType::f32, shape)});
}

}  // namespace

MatchedWeights match_weights(const SafetensorsFile& file, const Graph& graph,
                             const std::vector<Naming>& namings) {
  const ParameterLayout layout(graph);
  const Naming& naming = naming_of(file, graph, layout, namings);
  auto weights = weights_in(file, naming);
  MatchedWeights result{.library = naming.library};
  for (const PublishedTensor& tensor : published_tensors(graph, layout, naming)) {
    const auto entry = weights.find(tensor.name);
    if (entry == weights.end()) {
      result.missing.push_back(tensor.name + " " + to_string(tensor.shape));
      continue;
    }
    const StoredTensor& stored = *entry->second;
    std::vector<float> values = finite_floats(file, stored);
    for (const std::string& name : tensor.tied)
      if (const auto copy = weights.find(name); copy != weights.end()) {
        if (finite_floats(file, *copy->second) != values)
          fail(ExitCode::data, "{}: {} and {} differ, but are one parameter of this model.", file.path(),
               printable(stored.name), printable(copy->second->name));
        weights.erase(copy);
      }
    const bool fits = stored.extents == extents_of(tensor.shape);
    if (!fits)
      result.misshapen.push_back(fmt::format("{} is {} in the file, {} in the model", tensor.name,
                                             shape_text(stored.extents), to_string(tensor.shape)));
    if (fits || stored.extents.size() <= Shape::kMaxRank)
      add_to(result.found, (tensor.is_state ? "state/" : "model/") + tensor.own.name,
             fits ? tensor.own.shape : Shape(stored.extents), fits ? own_order(tensor, values) : values);
    weights.erase(entry);
  }
  for (const auto& [name, stored] : weights)
    result.surplus.push_back(printable(stored->name) + " " + shape_text(stored->extents));
  return result;
}

std::string first_of(std::vector<std::string> names) {
  constexpr size_t kShown = 4;
  const size_t more = names.size() - std::min(names.size(), kShown);
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

}  // namespace lockstep
