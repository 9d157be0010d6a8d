#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "launch/commands/command_line.h"
#include "launch/commands/model.h"
#include "launch/commands/program.h"
#include "launch/report/layer_help.h"
#include "launch/report/model_list.h"
#include "launch/report/report.h"

namespace lockstep {

namespace {

struct ListArguments {
  std::vector<std::string> names;
  bool layers = false, json = false;
};

int run_list(const ListArguments& arguments) {
  if (arguments.layers) {
    if (arguments.json)
      print_json(layer_json());
    else
      print_text("{}", layer_help());
    return 0;
  }
  std::vector<ModelEntry> models;
  for (const std::string& name : arguments.names) models.push_back(model_named(name));
  if (arguments.json) {
    print_json(model_json(models.empty() ? model_registry() : models));
  } else if (models.empty()) {
    print_text(
        "{}\nlockstep model list NAME shows the keys of a model, lockstep model list --layers\n"
        "the layers of a model file.\n",
        model_table(model_registry()));
  } else {
    for (size_t i = 0; i < models.size(); ++i) print_text("{}{}", i > 0 ? "\n" : "", model_help(models[i]));
  }
  return 0;
}

}  // namespace

void add_model_command(Command app, Program& program) {
  Command model = app.add_group("model", "List the models, or show one with its layers and cost");

  Command list = model.add_command("list", "List the built-in models, or show the keys of some");
  auto listed = std::make_shared<ListArguments>();
  list.add("NAME", listed->names, "Models whose keys to show; default: a table of all models");
  list.add_flag("--json", listed->json, "Print JSON");
  list.add_flag("--layers", listed->layers, "List the layers of a model file instead");
  list.action(program, [listed] { return run_list(*listed); });

  add_model_show(model, program);
  add_model_export(model, program);
  add_model_import(model, program);
}

}  // namespace lockstep
