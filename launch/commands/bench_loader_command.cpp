#include <algorithm>
#include <chrono>
#include <filesystem>

#include "io/dataset/source_files.h"
#include "io/hdf5/sources/family.h"
#include "io/probe/probe.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/devices/device_runs.h"
#include "launch/loading/h5py_rates.h"
#include "launch/loading/loading_report.h"
#include "launch/loading/read_limits.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/train/run/machine_memory.h"
#include "src/train/run/run_data.h"
#include "src/train/run/train_data.h"

namespace lockstep {

namespace {

struct LoaderArguments {
  std::string config, data, x, shuffle, python = "python3";
  std::vector<std::string> sets;
  std::vector<int64_t> threads;
  int64_t batch = 0, memory_mib = -1;  ///< 0, -1: the config's
  double seconds = 3;
  bool json = false;
};

/// In the order of Shuffle.
const std::vector<std::string> kShuffles{"auto", "full", "window", "local", "chunk", "off"};

DataSource source_of(const LoaderArguments& arguments, const Config& config) {
  DataSource source = arguments.data.empty() ? config.data.train : parse_data_source(arguments.data, "train");
  if (source.files.empty())
    fail(ExitCode::usage,
         "bench loader reads a data set: name it with --data FILE.h5:/GROUP, or give a CONFIG with "
         "data.train.");
  if (!arguments.x.empty()) {
    source.x = arguments.x;
    source.y.clear();
  }
  source.files = matching_files(source.files);
  return source;
}

/// The config's data section, with what the arguments change of it.
void change_data(TrainOptions::Data& data, const LoaderArguments& arguments) {
  if (arguments.memory_mib >= 0) data.memory_budget = arguments.memory_mib << 20;
  if (arguments.shuffle.empty()) return;
  data.shuffle = static_cast<Shuffle>(std::ranges::find(kShuffles, arguments.shuffle) - kShuffles.begin());
}

std::vector<int> threads_of(const LoaderArguments& arguments) {
  const auto cores = static_cast<int64_t>(usable_cores().size());
  const std::vector<int64_t> numbers =
      arguments.threads.empty() ? powers_of_two_up_to(cores) : arguments.threads;
  return {numbers.begin(), numbers.end()};
}

/// Collective: one rank per machine examines the files in a child process before any rank opens them.
std::unique_ptr<Dataset> open_everywhere(World& world, const DataSource& source, DatasetOptions options) {
  if (world.local_rank() == 0)
    for (const std::string& warning : probe_files(source.files, names_read(source, options.task)))
      log_warning("{}", warning);
  world.barrier();
  const MachineMemory machine = machine_memory(world);
  options.machine = &machine;
  options.probe = false;
  return open_dataset(source, options);
}

/// The files on the disk, of which a family has several.
std::vector<std::string> stored_files(const DataSource& source) {
  std::vector<std::string> files;
  for (const std::string& file : source.files)
    for (std::string& part : hdf5::files_behind(file)) files.push_back(std::move(part));
  return files;
}

int64_t bytes_of(const std::vector<std::string>& files) {
  int64_t bytes = 0;
  for (const std::string& file : files) bytes += static_cast<int64_t>(std::filesystem::file_size(file));
  return bytes;
}

/// The last measurement, because it leaves the page cache cold.
ColdRead read_cold(const std::vector<std::string>& paths, double seconds) {
  const FileReading files(paths);
  files.drop_from_page_cache();
  ColdRead cold;
  cold.cached_share = files.cached_share();
  cold.bytes_per_s = files.read_once(seconds).bytes_per_s;
  return cold;
}

int run_bench_loader(Program& program, const LoaderArguments& arguments) {
  log_information_to_stderr();
  if (!(arguments.seconds > 0)) fail(ExitCode::usage, "--seconds {} must be above 0.", arguments.seconds);
  World& world = program.world();
  Config config = load_config(arguments.config, arguments.sets);
  change_data(config.data, arguments);
  const int64_t global_batch = arguments.batch > 0 ? arguments.batch : config.train.global_batch;
  if (global_batch % world.size() != 0)
    fail(ExitCode::usage, "a batch of {} does not divide over {}. Use --batch {}.", global_batch,
         counted(world.size(), "rank"), (global_batch / world.size() + 1) * world.size());
  const DataSource source = source_of(arguments, config);
  DatasetOptions options = training_data_options(config);
  const std::vector<int> threads = threads_of(arguments);
  options.readers = std::ranges::max(threads);

  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const std::unique_ptr<Dataset> dataset = open_everywhere(world, source, options);
  const double open_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const Order order = order_of_run(config.data, *dataset, global_batch, nullptr);
  const Sampler sampler(config.run.seed, dataset->size(), global_batch, order);
  const std::vector<std::string> files = stored_files(source);
  const LoadingPlan plan{threads, global_batch, arguments.seconds, files};
  LoadingResult result{.data = dataset->describe(),
                       .route = dataset->route(),
                       .rows = dataset->size(),
                       .x_bytes = x_bytes(*dataset),
                       .y_bytes = y_bytes(*dataset),
                       .file_bytes = bytes_of(files),
                       .ranks = world.size(),
                       .global_batch = global_batch,
                       .order = kShuffles[static_cast<size_t>(config.data.shuffle)],
                       .order_in_words = describe_order(order, *dataset),
                       .memory_budget = options.memory_budget,
                       .open_seconds = open_seconds,
                       .times = time_loading(world, *dataset, sampler, plan),
                       .cache = {},
                       .cold = {},
                       .h5py = {}};
  world.barrier();
  result.cache = dataset->cache_use();
  world.barrier();
  if (world.rank() != 0) return 0;

  const bool targets = dataset->target_kind() != TargetKind::none && options.task != TargetTask::tokens;
  result.h5py = world.size() > 1 ? nlohmann::json{{"reason", "it is measured beside one rank only"}}
                                 : time_h5py(arguments.python, source, targets, global_batch,
                                             arguments.seconds, plan.threads);
  result.cold = read_cold(files, arguments.seconds);
  if (arguments.json)
    print_json(loading_json(result));
  else
    print_loading(result);
  return 0;
}

}  // namespace

void add_bench_loader(Command bench, Program& program) {
  Command command = bench.add_command("loader", "Time the loading of a data set, without a model");
  auto arguments = std::make_shared<LoaderArguments>();
  command.add("CONFIG", arguments->config, "TOML file; its data.train is read");
  command.add_set(arguments->sets);
  command.add("--data", arguments->data, "FILE.h5 or FILE.h5:/GROUP; default: data.train").type("");
  command.add("--x", arguments->x, "Name of the samples' data set, if not GROUP/x; without targets").type("");
  command.add("--shuffle", arguments->shuffle, "Order of the samples; default: data.shuffle")
      .type("ORDER")
      .check(one_of_names(kShuffles));
  command
      .add("--threads", arguments->threads,
           "Threads of the loader to measure; default: 1,2,4,... and all cores")
      .type("N,N,...")
      .check(whole_number(0, 4096));
  command.add("--seconds", arguments->seconds, "Seconds of loading to time per number of threads; default: 3")
      .type("S");
  command.add("--batch", arguments->batch, "Samples per batch, over all ranks; default: train.global_batch")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  command.add("--memory-budget", arguments->memory_mib, "MiB of memory per rank; default: data.memory_budget")
      .type("MIB")
      .check(whole_number(0, int64_t{1} << 32));
  command.add("--python", arguments->python, "Python with h5py to compare with; default: python3")
      .type("PROGRAM");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer("On several ranks, each reads its part: mpirun -np 2 lockstep bench loader ...");
  command.action(program, [&program, arguments] { return run_bench_loader(program, *arguments); });
}

}  // namespace lockstep
