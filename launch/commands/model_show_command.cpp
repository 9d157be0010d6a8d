#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "launch/commands/command_line.h"
#include "launch/commands/model.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/device_names.h"
#include "launch/report/layer_table.h"
#include "launch/report/memory_table.h"
#include "launch/report/report.h"
#include "launch/run/named_model.h"
#include "launch/run/trained_model.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/json.h"
#include "src/device/device.h"
#include "src/device/devices.h"
#include "src/graph/parameters.h"
#include "src/ops/supported.h"
#include "src/train/run/run_header.h"

namespace lockstep {

namespace {

struct ShowArguments : ModelArguments {
  std::string device;
  int64_t ranks = 1;
  bool all = false, options = false, parameters = false, json = false;
};

/// A model with what it is trained on.
struct Shown {
  Config config;
  DataSignature data = {};
  Value input = {};
  NetworkOutput output = {};
  Json run = {};  ///< of a run that has ended: "memory" in the last line of its metrics; otherwise null
};

bool is_run(const std::string& model) {
  return find_model(model) == nullptr && (model.ends_with(".h5") || std::filesystem::is_directory(model));
}

/// "memory" of the "end" event in the last line of a run's metrics; null if there is none.
Json memory_of_run(const std::string& from) {
  const std::filesystem::path path = from;
  std::ifstream metrics((std::filesystem::is_directory(path) ? path : path.parent_path().parent_path()) /
                        "metrics.jsonl");
  std::string line, last;
  while (std::getline(metrics, line)) last = line;
  const Json event = try_parse_json(last);
  return event.is_object() ? event.value("memory", Json()) : Json();
}

Shown shown_run(const ShowArguments& arguments) {
  const LoadedCheckpoint loaded = load_trained(arguments.model, arguments.model);
  Shown shown{.config = parse_config(loaded.text("config"), loaded.path, "/", arguments.sets),
              .data = parse_signature(loaded.text("data")),
              .run = memory_of_run(arguments.model)};
  const Task task(Exec{}, shown.config, shown.data);
  shown.input = task.input();
  shown.output = task.objective().network_output();
  return shown;
}

/// A model for the samples and targets of the command line.
Shown shown_model(const ShowArguments& arguments) {
  Shown shown{.config = config_of(arguments)};
  const ModelUse use = assumed_use(arguments, shown.config);
  shown.data = assumed_signature(shown.config, use);
  shown.input = use.input;
  shown.output = use.output;
  return shown;
}

/// A GPU if there is one and the config does not name the CPU.
Device device_of(const Config& config) {
  if (config.run.device == DeviceChoice::cpu) return Device();
  const DeviceReport report = find_devices();
  if (!report.gpus.empty()) return Device(0);
  if (config.run.device == DeviceChoice::cuda)
    fail(ExitCode::usage, "a GPU was requested, but {}. Use --device cpu or --device auto.", report.reason);
  return Device();
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
    if (layout.specs[i].read_as == ReadAs::f32) tensor.notes.push_back("always float32");
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

void print_options(const Graph& graph) {
  print_text("\n");
  for (const Graph::Node& node : graph.nodes())
    print_text("{}\n{}", node.name, wrapped(node.layer->kind() + ": " + node.layer->describe(), 2));
}

Json layers_json(const Graph& graph, const std::vector<LayerRow>& rows) {
  Json layers = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    layers.push_back({{"name", node.name},
                      {"kind", node.layer->kind()},
                      {"description", node.layer->describe()},
                      {"output", extents_of(node.output.shape)},
                      {"parameters", rows[i].parameters},
                      {"forward_flops", rows[i].flops},
                      {"activation_bytes", rows[i].activation_bytes}});
    if (node.loss_weight > 0) layers.back()["loss_weight"] = node.loss_weight;
  }
  return layers;
}

void print_run(const Json& run) {
  if (!run.is_object()) return;
  const auto bytes = [&](const char* key) { return run.value(key, int64_t{0}); };
  const int64_t planned = bytes("planned_bytes"), allocated = bytes("allocated_bytes");
  if (planned <= 0) return;
  print_text("\nthe run      {} allocated, {} planned ({:+.1f} %)\n", readable_bytes(allocated),
             readable_bytes(planned),
             100 * static_cast<double>(allocated - planned) / static_cast<double>(planned));
}

/// The one in force, and the other of fp32 and bf16: tf32 takes the memory of the one, fp16 that of the
/// other.
std::vector<Precision> compared_precisions(Exec exec, Precision in_force) {
  if (activation_type(in_force) != DType::f32) return {Precision::fp32, in_force};
  if (why_unsupported(exec, Precision::bf16).empty()) return {in_force, Precision::bf16};
  return {in_force};
}

int run_show(const ShowArguments& arguments) {
  constexpr size_t kMaxRows = 40;  // of a table that is read as a whole
  const Shown shown = is_run(arguments.model) ? shown_run(arguments) : shown_model(arguments);
  const int ranks = static_cast<int>(arguments.ranks);
  const Device device = device_of(shown.config);
  const Graph graph = model_factory(shown.config)(shown.input, shown.output);
  const ParameterLayout layout(graph);
  ForecastsByPrecision forecasts;
  for (const Precision precision : compared_precisions(device.exec(), shown.config.run.precision)) {
    Config config = shown.config;
    config.run.precision = precision;
    forecasts.emplace_back(to_string(precision),
                           forecast_memory(device.exec(), graph, config, shown.data, ranks));
  }
  const MemoryForecast& forecast = std::ranges::find(forecasts, to_string(shown.config.run.precision),
                                                     &ForecastsByPrecision::value_type::first)
                                       ->second;
  const std::vector<LayerRow> rows = layer_rows(graph, forecast.batching.micro_batch);
  int64_t flops = 0;
  for (const LayerRow& row : rows) flops += row.flops;
  const std::vector<TensorFacts> tensors = tensors_of(graph, layout);
  if (arguments.json) {
    Json json{{"model", arguments.model},
              {"layers", layers_json(graph, rows)},
              {"tensors", tensor_json(tensors)},
              {"parameters", layout.parameter_count},
              {"forward_flops", flops},
              {"training_flops", forecast.training_flops},
              {"memory", memory_json(forecast, shown.config, device.exec(), ranks)}};
    if (!shown.run.is_null()) json["run_memory"] = shown.run;
    print_json(json);
    return 0;
  }
  print_text("{}: sample {}, {}\nactivations of a micro-batch of {}, FLOPs of forward for a sample\n\n",
             arguments.model, to_string(shown.input.shape), counted(shown.output.width, "output"),
             forecast.batching.micro_batch);
  const std::vector<LayerRow> lines = arguments.all ? rows : grouped(rows, kMaxRows);
  print_layers(lines);
  if (lines.size() < rows.size()) print_text("\n--all lists each of the {} layers.\n", rows.size());
  if (arguments.options) print_options(graph);
  if (arguments.parameters) print_tensors(tensors);
  print_text("\nparameters   {}\n", readable_count(layout.parameter_count));
  print_text("work         {} forward, {} in training, per sample\n", readable_decimal(flops, "FLOP"),
             readable_decimal(forecast.training_flops, "FLOP"));
  if (const std::string outputs = describe_outputs(graph); !outputs.empty())
    print_text("outputs      {}\n", outputs.substr(outputs.find(' ') + 1));
  print_memory(forecasts, shown.config, device.exec(), ranks);
  print_run(shown.run);
  return 0;
}

}  // namespace

void add_model_show(Command model, Program& program) {
  Command show = model.add_command("show", "Show layers, shapes, parameters, work and memory");
  auto arguments = std::make_shared<ShowArguments>();
  show.add("MODEL", arguments->model, "A model's name, a model file or a run").required();
  add_sample_options(show, *arguments);
  show.add("--ranks", arguments->ranks, "Ranks that share the global batch; default: 1")
      .type("N")
      .check(whole_number(1, 65536));
  show.add_device(arguments->device);
  show.add_flag("--all", arguments->all, "List each layer of a deep model, not blocks");
  show.add_flag("--options", arguments->options, "List the kind and the options of each layer");
  show.add_flag("--parameters", arguments->parameters, "List the tensors with their names in a checkpoint");
  show.add_flag("--json", arguments->json, "Print JSON");
  show.action(program, [arguments] {
    if (!arguments->device.empty()) arguments->sets.push_back("run.device=" + arguments->device);
    return run_show(*arguments);
  });
}

}  // namespace lockstep
