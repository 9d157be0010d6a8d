#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <set>

#include "io/hdf5/crash_report.h"
#include "io/probe/probe.h"
#include "io/repack/split_file.h"
#include "launch/commands/data.h"
#include "launch/report/report.h"
#include "launch/report/work_progress.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text/printable.h"
#include "src/train/run/train_data.h"

namespace lockstep {

namespace {

struct SplitArguments {
  SourceArguments source;
  std::string out, parts;
  uint64_t memory = uint64_t{256} << 20;
  SplitOptions options;
  bool force = false, json = false;
};

SplitPart parse_part(const std::string& text) {
  const auto equals = text.find('=');
  SplitPart part{.name = text.substr(0, equals)};
  const std::string share = equals == std::string::npos ? "" : text.substr(equals + 1);
  const auto [end, error] = std::from_chars(share.data(), share.data() + share.size(), part.share);
  if (part.name.empty() || error != std::errc() || end != share.data() + share.size())
    fail(ExitCode::usage, "--parts: '{}' is not NAME=SHARE, such as train=0.8.", text);
  if (part.name.find('/') != std::string::npos || part.name == ".")
    fail(ExitCode::usage, "--parts: '{}' cannot be the name of a group.", part.name);
  if (!(part.share > 0 && part.share <= 1))
    fail(ExitCode::usage, "--parts {}: a share is above 0 and at most 1.", text);
  return part;
}

std::vector<SplitPart> parse_parts(const std::string& text) {
  constexpr double kTolerance = 1e-6;
  constexpr size_t kMaxParts = 256;
  std::vector<SplitPart> parts;
  double sum = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    SplitPart part = parse_part(text.substr(begin, end - begin));
    if (std::ranges::count(parts, part.name, &SplitPart::name) > 0)
      fail(ExitCode::usage, "--parts: {} is named twice.", part.name);
    sum += part.share;
    parts.push_back(std::move(part));
    begin = end + 1;
  }
  if (std::abs(sum - 1) > kTolerance)
    fail(ExitCode::usage, "--parts: the shares add up to {:.6g}, not to 1.{}", sum,
         sum < 1 ? fmt::format(" Add rest={:.6g} to keep the others too.", 1 - sum) : "");
  if (parts.size() > kMaxParts)
    fail(ExitCode::usage, "--parts: {} parts; there may be {}.", parts.size(), kMaxParts);
  return parts;
}

/// A class as the file has it: by its name or label.
std::string class_text(const SplitResult& result, int64_t number) {
  if (number < 0) return "none";
  return result.class_names.empty() ? std::to_string(number + result.first_label)
                                    : result.class_names[static_cast<size_t>(number)];
}

/// How many samples of each class went into each part.
void print_classes(const SplitResult& result) {
  constexpr size_t kClassesShown = 20;
  std::set<int64_t> classes;
  std::vector<std::string> heading{"class"};
  for (const SplitResult::Part& part : result.parts) {
    heading.push_back(part.name);
    for (const auto& [number, count] : part.classes) classes.insert(number);
  }
  if (classes.empty()) return;
  std::vector<std::vector<std::string>> rows{std::move(heading)};
  for (const int64_t number : classes) {
    if (rows.size() > kClassesShown) break;
    rows.push_back({class_text(result, number)});
    for (const SplitResult::Part& part : result.parts) {
      const auto found = part.classes.find(number);
      rows.back().push_back(readable_count(found == part.classes.end() ? 0 : found->second));
    }
  }
  print_text("\n");
  print_table(rows, std::vector<bool>(rows[0].size(), true));
  if (classes.size() > kClassesShown)
    print_text("and {} (--json lists all)\n",
               counted(classes.size() - kClassesShown, "more class", "more classes"));
}

void print(const SplitResult& result) {
  std::vector<std::vector<std::string>> rows{{"group", "samples"}};
  for (const SplitResult::Part& part : result.parts)
    rows.push_back({"/" + part.name, readable_count(part.samples)});
  print_table(rows, {false, true});
  print_text("each with {}\n", printable(fmt::format("{}", fmt::join(result.datasets, ", "))));
  for (const std::string& text : result.left_out) print_text("left out: {}\n", printable(text));
  print_classes(result);
}

Json as_json(const SplitResult& result) {
  Json parts = Json::array();
  for (const SplitResult::Part& part : result.parts) {
    parts.push_back({{"name", part.name}, {"samples", part.samples}});
    for (const auto& [number, count] : part.classes)
      parts.back()["classes"][class_text(result, number)] = count;
  }
  return {{"parts", parts}, {"datasets", result.datasets}, {"left_out", result.left_out}};
}

int run_split(const Program& program, SplitArguments& arguments) {
  SplitOptions& options = arguments.options;
  options.parts = parse_parts(arguments.parts);
  options.memory_bytes = static_cast<int64_t>(arguments.memory);
  if (options.threads == 0) options.threads = static_cast<int>(usable_cores().size());
  const Config config = arguments.source.config();
  const DataSource& source = config.data.train;
  options.reading = training_data_options(config);
  if (options.by_class && source.y.empty())
    fail(ExitCode::usage, "--by-class needs the classes: name their data set with --y.");
  check_result(arguments.out, arguments.force);
  refuse_to_replace(arguments.out, source.files);
  if (arguments.json) log_information_to_stderr();
  // A damaged file ends the child that looks at it, not this process.
  probe_files(source.files, names_read(source, TargetTask::automatic));
  hdf5::report_crashes();
  WorkProgress progress("split " + arguments.source.source, program.environment());
  options.progress = [&](int64_t done, int64_t all) { progress.show(done, all); };
  const SplitResult result = split_file(source, arguments.out, options);
  progress.clear();
  if (arguments.json) {
    Json report = {{"in", arguments.source.source}, {"out", arguments.out}};
    report.update(as_json(result));
    print_json(report);
  } else {
    print(result);
    print_text("wrote {}\n", arguments.out);
  }
  return 0;
}

}  // namespace

void add_split(Command data, Program& program) {
  Command command =
      data.add_command("split", "Divide the samples of a group into parts, each a group of a new file");
  auto arguments = std::make_shared<SplitArguments>();
  add_source(command, arguments->source, "",
             "What is stored as rows stays as it is stored: numbers, names of classes,\n"
             "records, sequences, images, sparse matrices. Samples on another axis, columns of\n"
             "a table and data sets for each sample become plain data sets x and y.\n");
  command.add("OUT", arguments->out, "The HDF5 file to write").required();
  command
      .add("--parts", arguments->parts,
           "Names and shares, which add up to 1: train=0.8,validation=0.1,test=0.1")
      .type("NAME=SHARE,...")
      .required();
  command.add_flag("--by-class", arguments->options.by_class, "Give each part its share of each class");
  command.add("--seed", arguments->options.seed, "Seed of the choice; default: 1");
  command.add_size("--memory", arguments->memory, "Memory for samples; default: 256M");
  arguments->options.threads = 0;
  command.add("--threads", arguments->options.threads, "Threads that compress; default: all cores")
      .check(whole_number(1, 1024));
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] { return run_split(program, *arguments); });
}

}  // namespace lockstep
