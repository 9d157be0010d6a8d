#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/model_keys.h"
#include "launch/report/layer_help.h"
#include "launch/report/model_list.h"
#include "launch/report/report.h"
#include "launch/run/sample_shape.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/suggest.h"
#include "src/graph/parameters.h"
#include "src/train/run/setup.h"

namespace lockstep {

namespace {

struct ListArguments {
  std::vector<std::string> names;
  bool layers = false, json = false;
};

/// Throws Error(usage) for an unknown name.
const ModelEntry& model_named(const std::string& name) {
  if (const ModelEntry* model = find_model(name)) return *model;
  std::vector<std::string> known;
  for (const ModelEntry& model : model_registry()) known.push_back(model.name);
  fail(ExitCode::usage, "unknown model '{}'{} The name of a model file ends in .toml.", name,
       suggestion(name, known, model_synonyms()));
}

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

struct ShowArguments {
  std::string model, input;
  int64_t outputs = 0;  ///< 0: as many as the model's standard data has
  std::vector<std::string> sets;
  bool parameters = false, json = false;
};

bool is_file(const std::string& model) {
  return model.ends_with(".toml") || model.find('/') != std::string::npos;
}

/// The config of `lockstep train --set model.name=MODEL`, or model.file when MODEL is a file.
Config config_of(const ShowArguments& arguments) {
  const bool file = is_file(arguments.model);
  if (!file) model_named(arguments.model);
  std::vector<std::string> sets{(file ? "model.file=" : "model.name=") + arguments.model};
  sets.insert(sets.end(), arguments.sets.begin(), arguments.sets.end());
  return load_config("", sets);
}

/// The data to show a model for: what the arguments say, else the model's standard data. A model file has no
/// such data and is shown for small images.
ModelUse data_of(const ShowArguments& arguments, bool tokens) {
  ModelUse use{{DType::f32, {28, 28, 1}}, {10}};
  if (!is_file(arguments.model)) use = model_named(arguments.model).standard;
  if (arguments.outputs > 0) use.output.width = arguments.outputs;
  if (tokens && use.input.dtype != DType::i32) {
    use.input.dtype = DType::i32;
    use.output.positions = use.input.shape;
  }
  if (arguments.input.empty()) return use;
  use.input.shape = parse_sample_shape("--input", arguments.input);
  if (use.output.positions.rank() == 0) return use;
  // The first axes, as many as the standard data has positions along.
  std::vector<int64_t> positions(use.input.shape.extents().begin(), use.input.shape.extents().end());
  positions.resize(std::min(positions.size(), static_cast<size_t>(use.output.positions.rank())));
  use.output.positions = Shape(positions);
  return use;
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
  const ModelUse use = data_of(arguments, config.data.task == TargetTask::tokens);
  const Graph graph = model_factory(config)(use.input, use.output);
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
  print_text("{}: sample {}, {}\n\n", arguments.model, to_string(use.input.shape),
             counted(use.output.width, "output"));
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

  Command list = model.add_command("list", "List the built-in models, or show the keys of some");
  auto listed = std::make_shared<ListArguments>();
  list.add("NAME", listed->names, "Models whose keys to show; default: a table of all models");
  list.add_flag("--json", listed->json, "Print JSON");
  list.add_flag("--layers", listed->layers, "List the layers of a model file instead");
  list.action(program, [listed] { return run_list(*listed); });

  Command show = model.add_command("show", "Show layers, shapes, parameters, work and memory");
  auto arguments = std::make_shared<ShowArguments>();
  show.add("MODEL", arguments->model, "A built-in model's name, or a model file").required();
  show.add("--input", arguments->input, "Shape of a sample; default: the model's standard data")
      .type("H,W,C");
  show.add("--outputs", arguments->outputs, "Classes or width of the target; default: as --input")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  show.add_set(arguments->sets);
  show.add_flag("--parameters", arguments->parameters, "List the tensors with their names in a checkpoint");
  show.add_flag("--json", arguments->json, "Print JSON");
  show.action(program, [arguments] { return run_show(*arguments); });
}

}  // namespace lockstep
