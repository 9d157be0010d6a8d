#include <algorithm>
#include <sstream>

#include "io/file/atomic_file.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/familiar_values.h"
#include "launch/config/file_format.h"
#include "launch/devices/device_report.h"
#include "launch/process/host.h"
#include "launch/run/sample_shape.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/device/devices.h"

namespace lockstep {

namespace {

struct DevicesArguments {
  std::string config, devices, input = "28,28,1", csv, plot;
  std::vector<std::string> sets;
  std::vector<int64_t> threads, batches;
  int64_t outputs = 10, steps = 100, repeats = 5;
  bool json = false;
};

std::vector<std::string> words_of(const std::string& list) {
  std::istringstream in(list);
  std::vector<std::string> words;
  for (std::string word; std::getline(in, word, ',');) words.push_back(word);
  return words;
}

std::string check_devices(const std::string& list) {
  const ValueCheck known = one_of_names({"cpu", "cuda"}, value_synonyms("run.device"));
  const std::vector<std::string> words = words_of(list);
  if (words.empty()) return "names no device: cpu, cuda or cpu,cuda";
  for (const std::string& word : words)
    if (std::string mistake = known(word); !mistake.empty()) return mistake;
  return "";
}

/// Ascending and without duplicates.
std::vector<int64_t> sorted(std::vector<int64_t> numbers) {
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::vector<Place> places_of(const DevicesArguments& arguments, const Config& config,
                             const DeviceReport& found) {
  const std::vector<std::string> named = words_of(arguments.devices);
  const auto has = [&](const char* name) { return std::ranges::find(named, name) != named.end(); };
  const bool on_cpu = named.empty() || has("cpu"), on_gpu = named.empty() ? !found.gpus.empty() : has("cuda");
  if (on_gpu && found.gpus.empty())
    fail(ExitCode::usage, "--devices {} needs a GPU, but there are 0: {}. Use --devices cpu.",
         arguments.devices, found.reason);
  if (!on_cpu && !arguments.threads.empty())
    fail(ExitCode::usage, "--threads is for the CPU, which --devices {} leaves out. Add cpu to --devices.",
         arguments.devices);
  const auto cores = static_cast<int64_t>(usable_cores().size());
  const bool given = !arguments.threads.empty();
  const int64_t most = given                    ? std::ranges::max(arguments.threads)
                       : config.run.threads > 0 ? config.run.threads
                                                : cores;
  if (on_cpu && most > cores)
    fail(ExitCode::usage, "{} {}: this process may run on {}. Give at most {}.",
         given ? "--threads" : "run.threads =", most, counted(cores, "core"), cores);
  std::vector<Place> places;
  if (on_cpu)
    for (const int64_t n : given ? sorted(arguments.threads) : powers_of_two_up_to(most))
      places.push_back({Backend::cpu, n});
  if (on_gpu) places.push_back({Backend::cuda, 0});
  return places;
}

DevicePlan plan_of(const DevicesArguments& arguments, const Config& config, const DeviceReport& found) {
  DevicePlan plan;
  plan.places = places_of(arguments, config, found);
  plan.batches =
      arguments.batches.empty() ? std::vector{config.train.global_batch} : sorted(arguments.batches);
  plan.steps = arguments.steps;
  plan.repeats = arguments.repeats;
  if (!arguments.config.empty()) plan.arguments.push_back(arguments.config);
  for (const std::string& set : arguments.sets) plan.arguments.insert(plan.arguments.end(), {"--set", set});
  plan.arguments.insert(plan.arguments.end(),
                        {"--input", arguments.input, "--outputs", std::to_string(arguments.outputs)});
  return plan;
}

int run_bench_devices(Program& program, const DevicesArguments& arguments) {
  // Results are printed at the end; until then only progress.
  log_information_to_stderr();
  if (const std::string& launcher = program.environment().launcher.launcher; !launcher.empty())
    fail(ExitCode::usage,
         "bench devices starts its runs itself, each of one rank, and was itself started by {}. Run it "
         "without.",
         launcher);
  if (!arguments.csv.empty()) check_file_format("--csv", arguments.csv, "CSV");
  if (!arguments.plot.empty()) check_file_format("--plot", arguments.plot, "SVG");
  const Config config = load_config(arguments.config, arguments.sets);
  const Shape input = parse_sample_shape("--input", arguments.input);
  const DeviceReport found = find_devices();
  const DevicePlan plan = plan_of(arguments, config, found);
  const std::string cpu = proc_field("/proc/cpuinfo", "model name");

  DeviceResult result{.model = config.model.file.empty() ? config.model.name : config.model.file,
                      .input = extents_of(input),
                      .outputs = arguments.outputs,
                      .cpu = cpu.empty() ? "unknown" : cpu,
                      .cores = static_cast<int64_t>(usable_cores().size()),
                      .gpu = found.gpus.empty() ? "none: " + found.reason : found.gpus.front().name,
                      .repeats = arguments.repeats,
                      .runs = run_devices(plan)};
  if (!arguments.csv.empty()) write_text_atomically(arguments.csv, devices_csv(result));
  if (!arguments.plot.empty()) write_text_atomically(arguments.plot, devices_plot(result));
  if (arguments.json)
    print_json(devices_json(result));
  else
    print_devices(result);
  return 0;
}

}  // namespace

void add_bench_devices(Command bench, Program& program) {
  Command command = bench.add_command("devices", "Compare training and prediction on CPU and GPU");
  auto arguments = std::make_shared<DevicesArguments>();
  command.add("CONFIG", arguments->config, "TOML file; its data is not read");
  const auto text = [&](const char* name, std::string& value, const char* help, const char* type) {
    return command.add(name, value, help).type(type);
  };
  const auto numbers = [&](const char* name, std::vector<int64_t>& values, const char* help) {
    command.add(name, values, help).type("N,N,...").check(whole_number(1, int64_t{1} << 32));
  };
  const auto number = [&](const char* name, int64_t& value, const char* help) {
    command.add(name, value, help).type("N").check(whole_number(1, int64_t{1} << 32));
  };
  text("--devices", arguments->devices, "cpu, cuda or cpu,cuda; default: those that there are", "NAMES")
      .check(check_devices);
  numbers("--threads", arguments->threads, "CPU threads to measure; default: 1,2,4,... and all cores");
  numbers("--batches", arguments->batches, "Samples per step to measure; default: train.global_batch");
  number("--steps", arguments->steps, "Steps to time per run; default: 100");
  number("--repeats", arguments->repeats, "Runs per point; default: 5");
  command.add_set(arguments->sets);
  text("--input", arguments->input, "Shape of a sample; default: 28,28,1", "H,W,C");
  number("--outputs", arguments->outputs, "Classes; default: 10");
  text("--csv", arguments->csv, "Also write a table", "FILE");
  text("--plot", arguments->plot, "Also write a plot", "FILE.svg");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer("Each run is a process of one rank. Points take turns, --repeats times.");
  command.action(program, [&program, arguments] { return run_bench_devices(program, *arguments); });
}

}  // namespace lockstep
