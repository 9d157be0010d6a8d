#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "io/hdf5/sources/family.h"
#include "io/import/synth_digits.h"
#include "io/probe/inspect.h"
#include "launch/commands/command_line.h"
#include "launch/commands/data.h"
#include "launch/commands/program.h"
#include "launch/config/file_format.h"
#include "launch/process/stop_signals.h"
#include "launch/report/file_report.h"
#include "launch/report/order_report.h"
#include "launch/report/report.h"
#include "launch/report/work_progress.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text/json.h"
#include "src/core/text/printable.h"

namespace lockstep {

void check_result(const std::string& out, bool force, std::string_view format) {
  check_file_format("OUT", out, format);
  if (!force && std::filesystem::exists(out))
    fail(ExitCode::usage, "{} exists already. Name another file, or add --force to replace it.", out);
}

void refuse_to_replace(const std::string& out, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs)
    for (const std::string& file : hdf5::files_behind(input))
      if (std::error_code status; std::filesystem::equivalent(out, file, status))
        fail(ExitCode::usage, "{} is {}, an input. Name another file to write.", out, file);
}

int end_with_problems(const std::string& file, const std::vector<std::string>& problems) {
  constexpr size_t kShown = 5;
  if (problems.empty()) return 0;
  std::vector<std::string> shown(problems.begin(),
                                 problems.begin() + static_cast<int64_t>(std::min(problems.size(), kShown)));
  for (std::string& problem : std::span(shown).subspan(1))
    if (problem.starts_with(file + ":")) problem.erase(0, problem.find_first_not_of(" :", file.size()));
  const std::string more = problems.size() > kShown
                               ? fmt::format(" And {}.", counted(problems.size() - kShown, "more problem"))
                               : "";
  fail(ExitCode::data, "{}{}", fmt::join(shown, " "), more);
}

void with_progress(const Program& program, const std::string& what,
                   const std::function<void(const NoteBytes&)>& run) {
  WorkProgress progress(what, program.environment());
  run([&](int64_t done, int64_t all) { progress.show(done, all); });
}

namespace {

void add_synth(Command data, Program& program) {
  Command synth = data.add_group("synth", "Generate a data set");
  Command digits = synth.add_command("digits", "28x28 digits that look handwritten");
  struct Arguments {
    std::string out;
    SynthDigitsOptions options;
    bool force = false;
  };
  auto arguments = std::make_shared<Arguments>();
  digits.add("OUT", arguments->out, "The HDF5 file to write").required();
  digits.add("--train", arguments->options.train, "Training samples; default: 60000")
      .check(whole_number(1, int64_t{1} << 32));
  digits.add("--test", arguments->options.test, "Test samples; default: 10000")
      .check(whole_number(1, int64_t{1} << 32));
  digits.add("--seed", arguments->options.seed, "Seed of the generator; default: 1");
  digits.add_flag("--force", arguments->force, "Replace OUT if it exists");
  digits.action(program, [&program, arguments] {
    check_result(arguments->out, arguments->force);
    with_progress(program, "synth digits",
                  [&](const NoteBytes& work) { synth_digits(arguments->out, arguments->options, work); });
    log_info("wrote {}: {} training and {} test digits", arguments->out, arguments->options.train,
             arguments->options.test);
    return 0;
  });
}

int run_info(const std::string& file, bool json) {
  const FileDescription description = describe_file(file);
  if (json) {
    print_json(nlohmann::json(description));
    return end_with_problems(file, description.problems);
  }
  print_file(description);
  return end_with_problems(file, description.problems);
}

void add_info(Command data, Program& program) {
  Command command =
      data.add_command("info", "List the data sets of a file, or compare orders of its samples");
  struct Arguments {
    std::string file, group;
    int64_t batch = 128;
    uint64_t window = 0, budget = uint64_t{4} << 30;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  command.add("FILE", arguments->file, "An HDF5 file").required();
  command.add("--shuffle", arguments->group,
              "Compare the values of data.shuffle for the samples of this group, such as /train");
  command.add("--batch", arguments->batch, "For --shuffle: train.global_batch; default: 128")
      .check(whole_number(1, int64_t{1} << 32));
  command.add_size("--window", arguments->window,
                   "For --shuffle: data.shuffle_window; default: half of --memory-budget");
  command.add_size("--memory-budget", arguments->budget, "For --shuffle: data.memory_budget; default: 4GiB");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [arguments] {
    if (arguments->group.empty()) return run_info(arguments->file, arguments->json);
    const Json report = order_report({.file = arguments->file,
                                      .group = arguments->group,
                                      .global_batch = arguments->batch,
                                      .window_bytes = static_cast<int64_t>(arguments->window),
                                      .memory_budget = static_cast<int64_t>(arguments->budget)});
    if (arguments->json)
      print_json(report);
    else
      print_order_report(report);
    return 0;
  });
}

}  // namespace

void add_data_command(Command app, Program& program) {
  Command data = app.add_group("data", "Create, convert and check data sets");
  data.when_chosen([&program] { end_on_stop_signals(program.environment().rank_hint == 0); });
  add_synth(data, program);
  add_import(data, program);
  add_info(data, program);
  add_repack(data, program);
  add_split(data, program);
  add_stats(data, program);
  add_check(data, program);
}

}  // namespace lockstep
