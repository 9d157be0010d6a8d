#include <algorithm>
#include <numeric>

#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/report/confusion.h"
#include "launch/report/report.h"
#include "launch/run/trained_model.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

struct EvalArguments {
  std::string from, device = "auto";
  TrainedModel::DataArguments data;
  bool json = false;
};

/// The class of each of `rows` samples from `first` on: its label, or the largest of its target
/// probabilities.
std::vector<int64_t> target_classes(const Dataset& dataset, int64_t first, int64_t rows) {
  std::vector<int64_t> indices(static_cast<size_t>(rows));
  std::iota(indices.begin(), indices.end(), first);
  std::vector<std::byte> x(static_cast<size_t>(rows * dataset.x_shape().elements()) *
                           size_of(dataset.x_dtype()));
  const int64_t width = dataset.target_kind() == TargetKind::classes ? 1 : dataset.classes();
  std::vector<std::byte> y(static_cast<size_t>(rows * width) * sizeof(float));
  dataset.read(indices, x.data(), y.data());
  std::vector<int64_t> classes(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    if (dataset.target_kind() == TargetKind::classes) {
      classes[static_cast<size_t>(i)] = reinterpret_cast<const int32_t*>(y.data())[i];
    } else {
      const float* row = reinterpret_cast<const float*>(y.data()) + i * width;
      classes[static_cast<size_t>(i)] = std::max_element(row, row + width) - row;
    }
  }
  return classes;
}

Confusion confusion_of(TrainedModel& model, const Dataset& dataset) {
  Confusion confusion(model.task().outputs());
  model.evaluator().predict(dataset, [&](int64_t first, ConstTensor outputs) {
    const int64_t rows = outputs.shape()[0], width = outputs.shape()[-1];
    const std::vector<int64_t> targets = target_classes(dataset, first, rows);
    for (int64_t i = 0; i < rows; ++i) {
      const float* row = outputs.data<float>() + i * width;
      confusion.add(targets[static_cast<size_t>(i)], std::max_element(row, row + width) - row);
    }
  });
  return confusion;
}

Json confusion_json(const Confusion& confusion) {
  Json classes = Json::array(), matrix = Json::array();
  const auto number = [](std::optional<double> value) { return value ? Json(*value) : Json(); };
  for (int64_t c = 0; c < confusion.classes(); ++c) {
    classes.push_back({{"class", c},
                       {"samples", confusion.samples(c)},
                       {"precision", number(confusion.precision(c))},
                       {"recall", number(confusion.recall(c))}});
    Json row = Json::array();
    for (int64_t p = 0; p < confusion.classes(); ++p) row.push_back(confusion.count(c, p));
    matrix.push_back(row);
  }
  return {{"classes", classes}, {"confusion", matrix}};
}

void print_classes(const Confusion& confusion) {
  const auto percent = [](std::optional<double> value) {
    return value ? fmt::format("{:.2f} %", 100 * *value) : std::string("-");
  };
  std::vector<std::vector<std::string>> rows{{"class", "samples", "precision", "recall"}};
  for (int64_t c = 0; c < confusion.classes(); ++c)
    rows.push_back({std::to_string(c), readable_count(confusion.samples(c)), percent(confusion.precision(c)),
                    percent(confusion.recall(c))});
  print_text("\n");
  print_table(rows, {true, true, true, true});
}

/// One row per class: the predictions of its samples.
void print_matrix(const Confusion& confusion) {
  std::vector<std::vector<std::string>> rows(1, {"class"});
  for (int64_t p = 0; p < confusion.classes(); ++p) rows[0].push_back(fmt::format("as {}", p));
  size_t width = 0;
  for (int64_t t = 0; t < confusion.classes(); ++t) {
    rows.push_back({std::to_string(t)});
    for (int64_t p = 0; p < confusion.classes(); ++p)
      rows.back().push_back(std::to_string(confusion.count(t, p)));
  }
  for (size_t column = 0; column < rows[0].size(); ++column) {
    size_t widest = 0;
    for (const auto& row : rows) widest = std::max(widest, row[column].size());
    width += widest + 2;
  }
  if (width > 82) {
    print_text("\nThe confusion matrix is too wide for a terminal: --json has it.\n");
    return;
  }
  print_text("\n");
  print_table(rows, std::vector<bool>(rows[0].size(), true));
}

int run_eval(Program& program, const EvalArguments& arguments) {
  if (arguments.json) log_information_to_stderr();
  World& world = program.world();
  TrainedModel model(world, arguments.from, arguments.device);
  const std::unique_ptr<Dataset> dataset = model.open(world, arguments.data, /*with_targets=*/true);
  const Evaluation result = model.evaluator().evaluate(world, *dataset);
  if (world.rank() != 0) return 0;

  const bool classifies = model.task().classifies();
  std::optional<Confusion> confusion;
  if (classifies) confusion = confusion_of(model, *dataset);
  if (arguments.json) {
    Json json{{"checkpoint", model.checkpoint_path()},
              {"data", dataset->describe()},
              {"samples", result.samples},
              {"loss", result.loss}};
    if (classifies) {
      json["accuracy"] = result.accuracy;
      json.update(confusion_json(*confusion));
    }
    print_json(json);
    return 0;
  }
  print_text("checkpoint  {}\ndata        {}\nsamples     {}\nloss        {:.6f}\n", model.checkpoint_path(),
             dataset->describe(), readable_count(result.samples), result.loss);
  if (!classifies) return 0;
  print_text("accuracy    {:.2f} %\n", 100 * result.accuracy);
  print_classes(*confusion);
  print_matrix(*confusion);
  return 0;
}

}  // namespace

void add_eval_command(Command app, Program& program) {
  Command command = app.add_command("eval", "Measure a trained model, class by class");
  auto arguments = std::make_shared<EvalArguments>();
  command.add("FROM", arguments->from, "A checkpoint or a run folder").required();
  add_data_options(command, arguments->data);
  command.add("--y", arguments->data.y, "Name of the targets' data set, if not GROUP/y").type("");
  command.add_device(arguments->device);
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] { return run_eval(program, *arguments); });
}

}  // namespace lockstep
