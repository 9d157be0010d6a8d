#include <algorithm>

#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
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

/// A larger table would be unreadable and take megabytes.
constexpr int64_t kMaxConfusedClasses = 1024;

MetricNeeds needs_of_report(const Objective& objective) {
  return {.counts = objective.kind() != TargetKind::values,
          .confusion = objective.classifies() && objective.outputs() <= kMaxConfusedClasses};
}

/// "class" or "label": the subject of a row of the table.
const char* row_name(const Objective& objective) { return objective.classifies() ? "class" : "label"; }

/// What a data set calls its classes.
struct Labels {
  const ClassNames& names;  ///< empty: they have none
  int64_t first = 0;        ///< the label of class 0

  std::string of(int64_t number) const {
    const auto at = static_cast<size_t>(number);
    return at < names.size() ? names[at] : std::to_string(first + number);
  }
};

Json json_of(const Evaluator::Tables& result, const Objective& objective, const Labels& labels) {
  Json json;
  for (const Evaluation::Value& metric : result.evaluation.metrics) json[metric.name] = metric.value;
  if (objective.kind() == TargetKind::values) return json;
  const auto number = [](std::optional<double> value) { return value ? Json(*value) : Json(); };
  Json rows = Json::array(), matrix = Json::array();
  for (const ClassScores& scores : class_scores(result.tables)) {
    rows.push_back({{row_name(objective), labels.first + static_cast<int64_t>(rows.size())},
                    {"samples", scores.samples},
                    {"precision", number(scores.precision)},
                    {"recall", number(scores.recall)},
                    {"f1", number(scores.f1)},
                    {"iou", number(scores.iou)}});
    if (!labels.names.empty()) rows.back()["name"] = labels.of(static_cast<int64_t>(rows.size()) - 1);
    if (!result.tables.areas.empty()) rows.back()["auc"] = number(scores.auc);
  }
  json[objective.classifies() ? "classes" : "labels"] = rows;
  if (result.tables.confusion.empty()) return json;
  const int64_t classes = result.tables.classes();
  for (int64_t c = 0; c < classes; ++c) {
    const auto row = result.tables.confusion.begin() + c * classes;
    matrix.push_back(std::vector<int64_t>(row, row + classes));
  }
  json["confusion"] = matrix;
  return json;
}

void print_classes(const Evaluator::Tables& result, const Objective& objective, const Labels& labels) {
  const auto percent = [](std::optional<double> value) {
    return value ? fmt::format("{:.2f} %", 100 * *value) : std::string("-");
  };
  const auto number = [](std::optional<double> value) {
    return value ? fmt::format("{:.4f}", *value) : std::string("-");
  };
  std::vector<std::vector<std::string>> rows{{row_name(objective), "samples", "precision", "recall", "f1"}};
  const bool has_areas = !result.tables.areas.empty();
  if (has_areas) rows[0].emplace_back("auc");
  for (const ClassScores& scores : class_scores(result.tables)) {
    rows.push_back({labels.of(static_cast<int64_t>(rows.size()) - 1), readable_count(scores.samples),
                    percent(scores.precision), percent(scores.recall), number(scores.f1)});
    if (has_areas) rows.back().push_back(number(scores.auc));
  }
  print_text("\n");
  std::vector<bool> to_right(rows[0].size(), true);
  to_right[0] = labels.names.empty();
  print_table(rows, to_right);
}

/// One row per class: the predictions of its samples.
void print_matrix(const MetricTables& tables, const Labels& labels) {
  const int64_t classes = tables.classes();
  std::vector<std::vector<std::string>> rows(1, {"class"});
  for (int64_t p = 0; p < classes; ++p) rows[0].push_back("as " + labels.of(p));
  for (int64_t t = 0; t < classes; ++t) {
    rows.push_back({labels.of(t)});
    for (int64_t p = 0; p < classes; ++p)
      rows.back().push_back(std::to_string(tables.confusion[static_cast<size_t>(t * classes + p)]));
  }
  size_t width = 0;
  for (size_t column = 0; column < rows[0].size(); ++column) {
    size_t widest = 0;
    for (const auto& row : rows) widest = std::max(widest, row[column].size());
    width += widest + 2;
  }
  if (width > 82) {
    print_text("\nThe confusion matrix is too wide for a terminal; --json prints it.\n");
    return;
  }
  print_text("\n");
  std::vector<bool> to_right(rows[0].size(), true);
  to_right[0] = labels.names.empty();
  print_table(rows, to_right);
}

int run_eval(Program& program, const EvalArguments& arguments) {
  if (arguments.json) log_information_to_stderr();
  World& world = program.world();
  TrainedModel model(world, arguments.from, arguments.device);
  const std::unique_ptr<Dataset> dataset = model.open(world, arguments.data, /*with_targets=*/true);
  const Objective& objective = model.task().objective();
  const DataSignature& trained = model.task().data();
  const Labels labels{trained.class_names, trained.understood.first_label};
  const Evaluator::Tables result =
      model.evaluator().evaluate_with_tables(world, *dataset, needs_of_report(objective));
  if (world.rank() != 0) return 0;

  const Evaluation& evaluation = result.evaluation;
  if (arguments.json) {
    Json json{{"checkpoint", model.checkpoint_path()},
              {"data", dataset->describe_stored()},
              {"samples", evaluation.samples},
              {"loss", evaluation.loss}};
    json.update(json_of(result, objective, labels));
    print_json(json);
    return 0;
  }
  print_text("checkpoint  {}\ndata        {}\nsamples     {}\nloss        {:.6f}\n", model.checkpoint_path(),
             dataset->describe_stored(), readable_count(evaluation.samples), evaluation.loss);
  for (const Evaluation::Value& metric : evaluation.metrics)
    print_text(
        "{:<10}  {}\n", metric.name,
        metric.is_share ? fmt::format("{:.2f} %", 100 * metric.value) : fmt::format("{:.6f}", metric.value));
  if (objective.kind() == TargetKind::values) return 0;
  print_classes(result, objective, labels);
  if (!result.tables.confusion.empty()) print_matrix(result.tables, labels);
  return 0;
}

}  // namespace

void add_eval_command(Command app, Program& program) {
  Command command = app.add_command("eval", "Evaluate a trained model, class by class");
  auto arguments = std::make_shared<EvalArguments>();
  command.add("FROM", arguments->from, "A checkpoint or a run folder").required();
  add_data_options(command, arguments->data);
  command.add("--y", arguments->data.y, "Name of the targets' data set, if not GROUP/y").type("");
  command.add_device(arguments->device);
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] { return run_eval(program, *arguments); });
}

}  // namespace lockstep
