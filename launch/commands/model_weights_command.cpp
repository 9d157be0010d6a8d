#include <memory>
#include <string>
#include <vector>

#include "launch/commands/command_line.h"
#include "launch/commands/data.h"
#include "launch/commands/model.h"
#include "launch/commands/program.h"
#include "launch/report/report.h"
#include "launch/run/trained_model.h"
#include "launch/weights/export_weights.h"
#include "launch/weights/import_weights.h"
#include "src/core/counted.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

struct ExportArguments {
  std::string from, out, names;
  bool force = false;
};

struct WeightsArguments : ImportWeightsOptions {
  std::string file, out, type = "uint8";
  bool force = false;
};

const std::vector<std::string> kSampleTypes = {"uint8", "float16", "float32", "float64"};

int run_export(const ExportArguments& arguments) {
  check_result(arguments.out, arguments.force, "safetensors");
  const LoadedCheckpoint loaded = load_trained(arguments.from, arguments.from);
  refuse_to_replace(arguments.out, {loaded.path});
  const ExportedWeights written = export_weights(loaded, arguments.out, arguments.names);
  log_info("wrote {}: {} parameters in {} of {}, with the names of {}", arguments.out,
           readable_count(written.parameters), counted(written.tensors, "tensor"), loaded.path,
           written.library);
  return 0;
}

int run_import(const WeightsArguments& arguments) {
  check_result(arguments.out, arguments.force);
  refuse_to_replace(arguments.out, {arguments.file});
  const ImportedWeights written = import_weights(arguments.file, arguments.out, arguments);
  log_info("wrote {}: {} parameters in {}, from names of {}; for samples of {}, {}", arguments.out,
           readable_count(written.parameters), counted(written.tensors, "tensor"), written.library,
           to_string(written.use.input.shape), counted(written.use.output.width, "output"));
  return 0;
}

}  // namespace

void add_model_export(Command model, Program& program) {
  Command command = model.add_command("export", "Write a model's weights as safetensors, for PyTorch");
  auto arguments = std::make_shared<ExportArguments>();
  command.add("FROM", arguments->from, "A checkpoint or a run folder").required();
  command.add("OUT", arguments->out, "The file of safetensors to write").required();
  command.add("--names", arguments->names, "Names of another library, such as timm for vit_*")
      .type("LIBRARY");
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.action(program, [arguments] { return run_export(*arguments); });
}

void add_model_import(Command model, Program& program) {
  Command command = model.add_command("import", "Make a checkpoint of weights in safetensors");
  auto arguments = std::make_shared<WeightsArguments>();
  command.add("FILE", arguments->file, "The file of safetensors").required();
  command.add("OUT", arguments->out, "The checkpoint to write, an HDF5 file").required();
  command.add("--model", arguments->model.model, "Its model: a built-in one or a model file")
      .type("NAME")
      .required();
  add_sample_options(command, arguments->model);
  command.add("--type", arguments->type, "Type of samples in data sets; default: uint8")
      .type("TYPE")
      .check(one_of_names(kSampleTypes));
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.footer(
      "--set reaches all keys of a config: the model's, and data.normalize for eval\n"
      "and predict. Outputs and channels that are not given are those of the weights.");
  command.action(program, [arguments] {
    arguments->stored = dtype_named(arguments->type);
    return run_import(*arguments);
  });
}

}  // namespace lockstep
