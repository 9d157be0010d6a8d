#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <span>

#include "io/dataset/targets/class_names.h"
#include "io/probe/check_source.h"
#include "launch/commands/data.h"
#include "launch/report/file_report.h"
#include "launch/report/report.h"
#include "launch/report/work_progress.h"
#include "src/core/counted.h"
#include "src/core/log.h"
#include "src/core/text/json.h"
#include "src/core/text/printable.h"
#include "src/train/run/run_findings.h"
#include "src/train/run/train_data.h"

namespace lockstep {

namespace {

constexpr size_t kClassesShown = 100, kNamesShown = 20;

/// "cat 12, dog 7"; without names "12 7".
std::string class_counts(const SourceCheck& source) {
  std::vector<std::string> texts;
  const bool has_names = !source.class_names.empty();
  const size_t shown = std::min(source.class_targets.size(), has_names ? kNamesShown : kClassesShown);
  for (size_t i = 0; i < shown; ++i)
    texts.push_back(has_names ? fmt::format("{} {}", source.class_names.at(i), source.class_targets[i])
                              : std::to_string(source.class_targets[i]));
  return fmt::format("{}{}", fmt::join(texts, has_names ? ", " : " "),
                     shown < source.class_targets.size() ? " ... (--json lists all)" : "");
}

void print(const SourceCheck& source, bool with_notes) {
  const std::string name = printable(source.source);
  if (!source.data.empty()) print_text("{}: {}\n", name, printable(source.data));
  if (with_notes)
    for (const std::string& note : source.notes) print_text("{}: {}\n", name, printable(note));
  if (!source.task.empty()) print_text("{}: task: {}\n", name, source.task);
  if (const size_t classes = source.class_targets.size(); classes > 0 && !source.class_names.empty())
    print_text("{}: names of {}, with their targets: {}\n", name, counted(classes, "class", "classes"),
               printable(class_counts(source)));
  else if (classes > 0)
    print_text("{}: classes {} to {}, targets of each: {}\n", name, source.first_label,
               source.first_label + static_cast<int64_t>(classes) - 1, class_counts(source));
  for (const Finding& finding : source.findings)
    print_text("{}: warning: {}\n", name, printable(finding.text));
}

/// Data sets that differ only in the numbers in their names take one line.
void print_datasets(const FileCheck& check) {
  std::vector<std::vector<std::string>> rows{
      {"data set", "shape", "type", "min", "max", "mean", "not finite"}};
  const std::vector<DatasetDescription> descriptions = descriptions_of(check);
  for (const AlikeDatasets& group : group_alike(descriptions)) {
    double min = INFINITY, max = -INFINITY, sum = 0;
    int64_t finite = 0, not_finite = 0;
    for (const DatasetDescription* member : group.members) {
      const DatasetCheck& dataset = check.datasets[static_cast<size_t>(member - descriptions.data())];
      not_finite += dataset.not_finite;
      if (!dataset.has_numbers) continue;
      min = std::min(min, dataset.min);
      max = std::max(max, dataset.max);
      sum += dataset.mean * static_cast<double>(dataset.values);
      finite += dataset.values;
    }
    const auto number = [&](double value) { return finite > 0 ? fmt::format("{:.4g}", value) : "-"; };
    rows.push_back({group.name(), group.shape(), group.first().type, number(min), number(max),
                    number(sum / static_cast<double>(finite)), readable_count(not_finite)});
  }
  print_table(rows, {false, false, false, true, true, true, true});
  for (const DatasetCheck& dataset : check.datasets)
    for (const std::string& warning : dataset.description.warnings)
      print_text("warning: {}\n", printable(warning));
}

struct CheckArguments {
  SourceArguments source;
  bool json = false;
};

/// All of a file, in a child process.
int check_whole_file(const Program& program, const std::string& file, bool json) {
  constexpr double kSeconds = 20;
  WorkProgress progress("check " + file, program.environment());
  const FileCheck check =
      check_file(file, kSeconds, [&](int64_t done, int64_t all) { progress.show(done, all); });
  progress.clear();
  if (json) {
    print_json(nlohmann::json(check));
  } else {
    print_datasets(check);
    for (const SourceCheck& source : check.sources) print(source, /*with_notes=*/true);
  }
  return end_with_problems(file, check.problems);
}

/// One source, opened and read as training does.
int check_one_source(const Program& program, const SourceArguments& arguments, bool json) {
  constexpr int64_t kMemory = int64_t{256} << 20;
  const Config config = arguments.config();
  DatasetOptions options = training_data_options(config);
  options.probe = true;
  options.memory_budget = kMemory;
  const std::unique_ptr<Dataset> dataset = open_dataset(config.data.train, options);
  WorkProgress progress("check " + arguments.source, program.environment());
  read_all_samples(*dataset, [&](int64_t done, int64_t all) { progress.show(done, all); });
  progress.clear();
  const SourceCheck check = check_source(*dataset, arguments.source, reading_of(config));
  if (json)
    print_json(nlohmann::json{{"sources", {check}}, {"problems", nlohmann::json::array()}});
  else
    print(check, /*with_notes=*/false);  // they were logged when it was opened
  return 0;
}

}  // namespace

void add_check(Command data, Program& program) {
  Command command = data.add_command("check", "Read every value of a file or source and report problems");
  auto arguments = std::make_shared<CheckArguments>();
  add_source(command, arguments->source,
             "FILE.h5, to check all of it, or FILE.h5:/GROUP, to check what train reads");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] {
    if (arguments->json) log_information_to_stderr();
    return arguments->source.name_a_source()
               ? check_one_source(program, arguments->source, arguments->json)
               : check_whole_file(program, arguments->source.source, arguments->json);
  });
}

}  // namespace lockstep
