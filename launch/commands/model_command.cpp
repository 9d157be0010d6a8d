#include <fmt/ranges.h>

#include <algorithm>

#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/model_keys.h"
#include "launch/report/layer_help.h"
#include "launch/report/report.h"
#include "launch/run/sample_shape.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/suggest.h"
#include "src/graph/parameters.h"
#include "src/train/run/setup.h"

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

struct ShowArguments {
  std::string model, input = "28,28,1";
  int64_t outputs = 10;
  std::vector<std::string> sets;
  bool parameters = false, json = false;
};

/// The config of `lockstep train --set model.name=MODEL`, or model.file when MODEL is a file.
Config config_of(const ShowArguments& arguments) {
  const bool file = arguments.model.ends_with(".toml") || arguments.model.find('/') != std::string::npos;
  std::vector<std::string> names;
  for (const ModelEntry& model : model_registry()) names.push_back(model.name);
  if (!file && std::find(names.begin(), names.end(), arguments.model) == names.end())
    fail(ExitCode::usage, "unknown model '{}'{} The name of a model file ends in .toml.", arguments.model,
         suggestion(arguments.model, names, model_synonyms()));
  std::vector<std::string> sets{(file ? "model.file=" : "model.name=") + arguments.model};
  sets.insert(sets.end(), arguments.sets.begin(), arguments.sets.end());
  return load_config("", sets);
}

std::vector<int64_t> extents_of(const Shape& shape) {
  return {shape.extents().begin(), shape.extents().end()};
}

int64_t parameters_of(const Layer& layer) {
  int64_t count = 0;
  for (const ParameterSpec& parameter : layer.parameters()) count += parameter.shape.elements();
  return count;
}

/// A tensor that a checkpoint holds, under its name there.
struct TensorFacts {
  std::string name;
  Shape shape;  ///< in the order of the file
  std::vector<std::string> notes;
};

std::vector<TensorFacts> tensors_of(const Graph& graph, const ParameterLayout& layout) {
  std::vector<TensorFacts> tensors;
  for (size_t i = 0; i < layout.parameters.size(); ++i) {
    const ParameterLayout::Slot& slot = layout.parameters[i];
    TensorFacts& tensor = tensors.emplace_back(TensorFacts{slot.name, logical_shape(slot), {}});
    if (!layout.specs[i].decay) tensor.notes.push_back("no weight decay");
    if (layout.specs[i].keep_f32) tensor.notes.push_back("always float32");
    for (size_t node = 0; node < layout.parameters_of_node.size(); ++node) {
      const std::vector<int>& own = layout.parameters_of_node[node];
      if (static_cast<int>(node) != slot.node && std::ranges::find(own, static_cast<int>(i)) != own.end())
        tensor.notes.push_back("shared by " + graph.nodes()[node].name);
    }
  }
  for (const ParameterLayout::Slot& slot : layout.states) {
    if (slot.rows.empty()) tensors.push_back({slot.name, logical_shape(slot), {"running statistic"}});
    for (const std::string& row : slot.rows)
      tensors.push_back({row, slot.shape.sample(), {"running statistic"}});
  }
  return tensors;
}

Json tensor_json(const std::vector<TensorFacts>& tensors) {
  Json list = Json::array();
  for (const TensorFacts& tensor : tensors)
    list.push_back({{"name", tensor.name}, {"shape", extents_of(tensor.shape)}, {"notes", tensor.notes}});
  return list;
}

void print_tensors(const std::vector<TensorFacts>& tensors) {
  std::vector<std::vector<std::string>> rows{{"tensor", "shape", "values", "notes"}};
  for (const TensorFacts& tensor : tensors)
    rows.push_back({tensor.name, to_string(tensor.shape), readable_count(tensor.shape.elements()),
                    fmt::format("{}", fmt::join(tensor.notes, ", "))});
  print_text("\n");
  print_table(rows, {false, false, true, false});
}

int run_show(const ShowArguments& arguments) {
  const Config config = config_of(arguments);
  const Shape input = parse_sample_shape("--input", arguments.input);
  const bool tokens = config.data.task == TargetTask::tokens;
  const Graph graph = model_factory(config)({tokens ? DType::i32 : DType::f32, input},
                                            {arguments.outputs, tokens ? input : Shape{}});
  const ParameterLayout layout(graph);

  std::vector<std::vector<std::string>> rows{{"layer", "what", "output", "parameters", "MFLOP"}};
  Json layers = Json::array();
  int64_t flops = 0;
  for (const Graph::Node& node : graph.nodes()) {
    const int64_t count = parameters_of(*node.layer), work = node.layer->flops();
    flops += work;
    const std::string role =
        node.loss_weight > 0 ? fmt::format("; output, loss x {}", node.loss_weight) : std::string();
    rows.push_back({node.name, node.layer->describe() + role, to_string(node.output.shape),
                    readable_count(count), fmt::format("{:.3f}", static_cast<double>(work) / 1e6)});
    layers.push_back({{"name", node.name},
                      {"kind", node.layer->kind()},
                      {"description", node.layer->describe()},
                      {"output", extents_of(node.output.shape)},
                      {"parameters", count},
                      {"forward_flops", work}});
    if (node.loss_weight > 0) layers.back()["loss_weight"] = node.loss_weight;
  }
  const TrainingMemory memory = training_memory(graph, config);
  const std::vector<TensorFacts> tensors = tensors_of(graph, layout);
  if (arguments.json) {
    print_json({{"model", arguments.model},
                {"layers", layers},
                {"tensors", tensor_json(tensors)},
                {"parameters", layout.parameter_count},
                {"forward_flops", flops},
                {"training_flops", 3 * flops},
                {"memory",
                 {{"weights_bytes", memory.weights},
                  {"gradients_bytes", memory.gradients},
                  {"optimizer_bytes", memory.optimizer},
                  {"activations_bytes", memory.activations},
                  {"micro_batch", memory.micro_batch}}}});
    return 0;
  }
  print_text("{}: sample {}, {}\n\n", arguments.model, to_string(input),
             counted(arguments.outputs, "output"));
  print_table(rows, {false, false, false, true, true});
  if (arguments.parameters) print_tensors(tensors);
  print_text("\nparameters   {} ({})\n", readable_count(layout.parameter_count),
             readable_bytes(memory.weights));
  print_text("work         {:.3f} MFLOP forward, {:.3f} in training, per sample\n",
             static_cast<double>(flops) / 1e6, 3 * static_cast<double>(flops) / 1e6);
  print_text("memory       weights {}, gradients {}, optimizer ({}) {}\n", readable_bytes(memory.weights),
             readable_bytes(memory.gradients), config.optimizer.name, readable_bytes(memory.optimizer));
  print_text("             activations {} for a micro-batch of {}\n", readable_bytes(memory.activations),
             memory.micro_batch);
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

  Command show = model.add_command("show", "Show layers, shapes, parameters, work and memory");
  auto arguments = std::make_shared<ShowArguments>();
  show.add("MODEL", arguments->model, "A built-in model's name, or a model file").required();
  show.add("--input", arguments->input, "Shape of a sample; default: 28,28,1").type("H,W,C");
  show.add("--outputs", arguments->outputs, "Classes or width of the target; default: 10")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  show.add_set(arguments->sets);
  show.add_flag("--parameters", arguments->parameters, "List the tensors with their names in a checkpoint");
  show.add_flag("--json", arguments->json, "Print JSON");
  show.action(program, [arguments] { return run_show(*arguments); });
}

}  // namespace lockstep
