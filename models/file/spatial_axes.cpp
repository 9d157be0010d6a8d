#include "models/file/spatial_axes.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

namespace lockstep {

namespace {

/// Kinds that work on sequences (positions, channels).
constexpr std::array<std::string_view, 5> kSequenceKinds = {"attention", "class_token", "mean_positions",
                                                            "multihead_attention", "positional_embedding"};

/// "conv1d" names 1 axis.
std::optional<int> axes_of(const std::string& kind) {
  if (std::ranges::find(kSequenceKinds, kind) != kSequenceKinds.end()) return 1;
  for (int axes = 1; axes <= 3; ++axes)
    if (kind.ends_with(std::to_string(axes) + "d")) return axes;
  return std::nullopt;
}

/// searched: names of blocks that have been searched, or that enclose the layers.
std::optional<int> search(const toml::array& layers, const toml::table* blocks,
                          std::set<std::string>& searched) {
  for (const toml::node& node : layers) {
    const toml::table* const layer = node.as_table();
    if (layer == nullptr) continue;
    if (const auto kind = (*layer)["kind"].value<std::string>())
      if (const auto axes = axes_of(*kind)) return axes;
    const auto name = (*layer)["block"].value<std::string>();
    if (!name || blocks == nullptr || !searched.insert(*name).second) continue;
    if (const toml::array* const inner = (*blocks)[*name]["layers"].as_array())
      if (const auto axes = search(*inner, blocks, searched)) return axes;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int> spatial_axes(const toml::array& layers, const toml::table* blocks) {
  std::set<std::string> searched;
  return search(layers, blocks, searched);
}

}  // namespace lockstep
