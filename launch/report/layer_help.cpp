#include "launch/report/layer_help.h"

#include <fmt/ranges.h>

#include "models/file/layer_kinds.h"

namespace lockstep {

namespace {

constexpr size_t kText = 20;  // the column in which texts start

std::string row(const std::string& name, const std::string& text) {
  const std::string head = fmt::format("{:<{}}", name, kText);
  return wrapped(text, head.size()).replace(0, head.size(), head);
}

Json value_json(const std::optional<OptionValue>& value) {
  if (!value) return {};
  return std::visit([](const auto& held) { return Json(held); }, *value);
}

}  // namespace

std::string layer_help() {
  std::string help = wrapped(
      "A model file is a TOML list of [[layer]] tables, each of one kind with its options. Every layer may "
      "have:",
      0);
  for (const CommonOption& option : common_layer_options())
    help += row("  " + option.name, fmt::format("{}: {}", option.type, option.description));
  help += "\n";
  for (const LayerKind& kind : layer_kinds()) {
    help += row(kind.name, kind.description);
    for (const LayerOption& option : kind.options)
      help += row("  " + option.name, fmt::format("{}: {}; {}", option.description, type_name(option.type),
                                                  option.standard ? "else " + to_string(*option.standard)
                                                                  : std::string("required")));
  }
  return help + "\n" + wrapped(fmt::format("initializers: {}", fmt::join(initializer_names(), ", ")), 0);
}

Json layer_json() {
  Json common = Json::array(), kinds = Json::array();
  for (const CommonOption& option : common_layer_options())
    common.push_back({{"name", option.name}, {"type", option.type}, {"description", option.description}});
  for (const LayerKind& kind : layer_kinds()) {
    Json options = Json::array();
    for (const LayerOption& option : kind.options)
      options.push_back({{"name", option.name},
                         {"type", type_name(option.type)},
                         {"required", !option.standard.has_value()},
                         {"default", value_json(option.standard)},
                         {"description", option.description}});
    kinds.push_back({{"kind", kind.name}, {"description", kind.description}, {"options", options}});
  }
  return {{"every_layer", common}, {"kinds", kinds}, {"initializers", initializer_names()}};
}

}  // namespace lockstep
