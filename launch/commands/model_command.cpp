#include <memory>
#include <string>

#include "launch/commands/command_line.h"
#include "launch/commands/model.h"
#include "launch/commands/program.h"
#include "launch/config/model_keys.h"
#include "launch/report/layer_help.h"
#include "launch/report/report.h"

namespace lockstep {

namespace {

int run_list(bool json) {
  Json list = Json::array();
  for (const ModelEntry& model : model_registry()) {
    Json keys = Json::array();
    if (!json) print_text("{}\n{}", model.name, wrapped(model.description, 2));
    for (const ModelKey& key : model.keys) {
      const std::string standard = toml_text(key.standard);
      keys.push_back({{"name", key.name}, {"default", standard}, {"description", key.description}});
      if (!json) print_text("  model.{} = {}\n{}", key.name, standard, wrapped(key.description, 6));
    }
    list.push_back({{"name", model.name}, {"description", model.description}, {"keys", keys}});
  }
  if (json)
    print_json(list);
  else
    print_text("\nlockstep model list --layers shows the layers of a model file.\n");
  return 0;
}

}  // namespace

void add_model_command(Command app, Program& program) {
  Command model = app.add_group("model", "List the models, or show one with its layers and cost");

  Command list = model.add_command("list", "List the built-in models and their keys");
  auto list_json = std::make_shared<bool>(false);
  auto layers = std::make_shared<bool>(false);
  list.add_flag("--json", *list_json, "Print JSON");
  list.add_flag("--layers", *layers, "List the layers of a model file instead");
  list.action(program, [list_json, layers] {
    if (!*layers) return run_list(*list_json);
    if (*list_json)
      print_json(layer_json());
    else
      print_text("{}", layer_help());
    return 0;
  });

  add_model_show(model, program);
}

}  // namespace lockstep
