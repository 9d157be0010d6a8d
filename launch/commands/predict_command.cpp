#include <filesystem>

#include "io/dataset/source_files.h"
#include "io/export/prediction_writer.h"
#include "launch/commands/command_line.h"
#include "launch/commands/data.h"
#include "launch/commands/program.h"
#include "launch/config/file_format.h"
#include "launch/report/report.h"
#include "launch/run/trained_model.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

struct PredictArguments {
  std::string from, out, device = "auto";
  TrainedModel::DataArguments data;
  bool force = false;
};

std::vector<int64_t> stored_rows(const Dataset& dataset) {
  std::vector<int64_t> rows(static_cast<size_t>(dataset.size()));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = dataset.stored_row(static_cast<int64_t>(i));
  return rows;
}

int run_predict(Program& program, const PredictArguments& arguments) {
  check_file_format("--out", arguments.out, "HDF5");
  World& world = program.world();
  if (!arguments.force && std::filesystem::exists(arguments.out))
    fail(ExitCode::usage, "{} exists already. Name another file, or add --force to replace it.",
         arguments.out);
  TrainedModel model(world, arguments.from, arguments.device);
  // One process writes the file; the other ranks have nothing to do.
  if (world.rank() != 0) return 0;
  const std::unique_ptr<Dataset> dataset = model.open(world, arguments.data, /*with_targets=*/false);
  const Objective& objective = model.task().objective();
  const bool has_classes = objective.classifies();
  const Answer answer{
      .kind = objective.kind(),
      .positions = objective.kind() == TargetKind::classes ? objective.target_shape() : Shape{},
      .values = has_classes ? Shape{objective.outputs()} : objective.target_shape(),
      .first_label = model.task().data().understood.first_label,
      .class_names = model.task().data().class_names};
  // --force replaces an older output file, but never an input file.
  std::vector<std::string> inputs = matching_files(model.source_of(arguments.data).files);
  inputs.push_back(model.checkpoint_path());
  refuse_to_replace(arguments.out, inputs);
  PredictionWriter writer(arguments.out, dataset->size(), answer);
  model.evaluator().predict(*dataset,
                            [&](int64_t first, ConstTensor outputs) { writer.write(first, outputs); });
  const bool part = model.is_part(arguments.data);
  if (part) writer.write_samples(stored_rows(*dataset));
  writer.commit();
  log_info("wrote {}: {} predictions{}", arguments.out, readable_count(dataset->size()),
           part ? " for " + dataset->describe() + "; /sample has their rows" : "");
  return 0;
}

}  // namespace

void add_predict_command(Command app, Program& program) {
  Command command = app.add_command("predict", "Write a trained model's predictions to an HDF5 file");
  auto arguments = std::make_shared<PredictArguments>();
  command.add("FROM", arguments->from, "A checkpoint or a run folder").required();
  add_data_options(command, arguments->data);
  command.add("--out", arguments->out, "The HDF5 file to write").required().type("OUT.h5");
  command.add_device(arguments->device);
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.action(program, [&program, arguments] { return run_predict(program, *arguments); });
}

}  // namespace lockstep
