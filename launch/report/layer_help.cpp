#include "launch/report/layer_help.h"

#include <fmt/ranges.h>

#include "models/file/layer_options.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

namespace {

constexpr size_t kText = 20;  // column of the descriptions

std::string row(const std::string& name, const std::string& text) {
  const std::string head = fmt::format("{:<{}} ", name, kText - 1);
  return wrapped(text, head.size()).replace(0, head.size(), head);
}

Json extents_json(const Extents& extents) {
  Json each = Json::array();
  for (int axis = 0; axis < extents.axes(); ++axis) each.push_back(extents[axis]);
  return each;
}

Json value_json(const std::optional<OptionValue>& value) {
  if (!value) return {};
  return std::visit(
      []<typename T>(const T& held) -> Json {
        if constexpr (std::is_same_v<T, Init>) return to_string(held);
        if constexpr (std::is_same_v<T, Padding>) {
          return held.is_same() ? Json("same") : extents_json(held.extents());
        } else if constexpr (std::is_same_v<T, Extents>) {
          return extents_json(held);
        } else {
          return held;
        }
      },
      *value);
}

std::vector<std::string> initializer_names() {
  std::vector<std::string> names;
  for (const Init init : initializers()) names.push_back(to_string(init));
  return names;
}

std::string rows(const std::vector<CommonOption>& options) {
  std::string text;
  for (const CommonOption& option : options)
    text += row("  " + option.name, fmt::format("{}: {}", option.type, option.description));
  return text;
}

Json options_json(const std::vector<CommonOption>& options) {
  Json all = Json::array();
  for (const CommonOption& option : options)
    all.push_back({{"name", option.name}, {"type", option.type}, {"description", option.description}});
  return all;
}

}  // namespace

std::string layer_help() {
  std::string help = wrapped(
      "A model file is a TOML list of [[layer]] tables, each of one kind with its options. Every layer may "
      "have:",
      0);
  help += rows(common_layer_options()) + "\n";
  for (const LayerKind& kind : layer_kinds()) {
    help += row(kind.name, kind.description);
    for (const LayerOption& option : kind.options)
      help += row("  " + option.name, fmt::format("{}: {}; {}", option.description, type_name(option),
                                                  option.standard ? "default: " + to_string(*option.standard)
                                                                  : std::string("required")));
  }
  help += "\n";
  help += wrapped(
      "A [block.NAME] table defines layers that occur several times: layers = [{kind = ...}, ...], and "
      "parameters = {width = 64} with their default values. An option of such a layer may be a product of "
      "them, as in filters = \"4 * width\". A layer that uses a block may have, besides the block's "
      "parameters:",
      0);
  help += rows(block_use_options());
  help += "\n";
  return help + wrapped(fmt::format("initializers: {}", fmt::join(initializer_names(), ", ")), 0);
}

Json layer_json() {
  Json kinds = Json::array();
  for (const LayerKind& kind : layer_kinds()) {
    Json options = Json::array();
    for (const LayerOption& option : kind.options)
      options.push_back({{"name", option.name},
                         {"type", type_name(option)},
                         {"required", !option.standard.has_value()},
                         {"default", value_json(option.standard)},
                         {"description", option.description}});
    kinds.push_back({{"kind", kind.name}, {"description", kind.description}, {"options", options}});
  }
  return {{"every_layer", options_json(common_layer_options())},
          {"block_use", options_json(block_use_options())},
          {"kinds", kinds},
          {"initializers", initializer_names()}};
}

}  // namespace lockstep
