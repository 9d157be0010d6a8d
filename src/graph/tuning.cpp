#include "src/graph/tuning.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "src/core/error.h"
#include "src/core/text/wildcard.h"

namespace lockstep {

namespace {

/// A parameter, held by a layer of the graph.
struct Held {
  std::string full_name;  ///< "conv1.weight"
  Tuning* tuning;
};

std::vector<Held> held_parameters(Graph& graph) {
  std::vector<Held> held;
  for (int i = 0; i < graph.output(); ++i) {
    Graph::Node& node = graph.nodes()[static_cast<size_t>(i)];
    for (const ParameterSpec& spec : node.layer->parameters())
      if (graph.holder(i, spec.name) == i)
        held.push_back({node.name + "." + spec.name, &node.tuning[spec.name]});
  }
  return held;
}

std::string list_of(std::span<const Held> parameters) {
  constexpr size_t kMaxNames = 40;
  std::vector<std::string> names;
  for (const Held& held : parameters.first(std::min(parameters.size(), kMaxNames)))
    names.push_back(held.full_name);
  const size_t left_out = parameters.size() - names.size();
  return fmt::format("{}{}", fmt::join(names, ", "),
                     left_out == 0 ? "" : fmt::format(" and {} more", left_out));
}

void check_pattern(const char* key, const std::string& pattern, std::span<const Held> parameters) {
  if (std::ranges::any_of(parameters,
                          [&](const Held& held) { return matches_name_or_block(pattern, held.full_name); }))
    return;
  fail(ExitCode::usage, "{}: '{}' matches no parameter, layer or block. The parameters are: {}.", key,
       pattern, list_of(parameters));
}

/// Number of literal characters of a pattern.
size_t specificity(const std::string& pattern) {
  return pattern.size() - static_cast<size_t>(std::ranges::count(pattern, '*'));
}

double lr_scale_of(const std::string& name, const std::map<std::string, double>& scales) {
  const std::pair<const std::string, double>* best = nullptr;
  for (const auto& entry : scales) {
    if (!matches_name_or_block(entry.first, name)) continue;
    if (best != nullptr && specificity(entry.first) == specificity(best->first) &&
        entry.second != best->second)
      fail(ExitCode::usage,
           "optimizer.lr_scale: '{}' = {} and '{}' = {} both match {}, and are equally specific. Make one "
           "of them longer.",
           best->first, best->second, entry.first, entry.second, name);
    if (best == nullptr || specificity(entry.first) > specificity(best->first)) best = &entry;
  }
  return best == nullptr ? 1 : best->second;
}

}  // namespace

Graph tuned(Graph graph, const TuningSpec& spec) {
  if (spec.freeze.empty() && spec.lr_scale.empty()) return graph;
  const std::vector<Held> parameters = held_parameters(graph);
  for (const std::string& pattern : spec.freeze) check_pattern("optimizer.freeze", pattern, parameters);
  for (const auto& [pattern, scale] : spec.lr_scale) check_pattern("optimizer.lr_scale", pattern, parameters);
  for (const Held& held : parameters) {
    held.tuning->frozen = std::ranges::any_of(spec.freeze, [&](const std::string& pattern) {
      return matches_name_or_block(pattern, held.full_name);
    });
    held.tuning->lr_scale = lr_scale_of(held.full_name, spec.lr_scale);
  }
  if (std::ranges::all_of(parameters, [](const Held& held) { return held.tuning->frozen; }))
    fail(ExitCode::usage,
         "optimizer.freeze leaves nothing to train: its patterns match every parameter. The parameters are: "
         "{}.",
         list_of(parameters));
  return graph;
}

}  // namespace lockstep
