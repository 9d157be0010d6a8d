#include <algorithm>
#include <memory>

#include "io/statistics/data_statistics.h"
#include "launch/commands/data.h"
#include "launch/report/statistics_report.h"
#include "launch/report/work_progress.h"
#include "src/core/cores.h"
#include "src/core/log.h"
#include "src/train/run/train_data.h"

namespace lockstep {

namespace {

struct StatsArguments {
  SourceArguments source;
  int threads = 0;
  bool channels_first = false, json = false;
};

int run_stats(const Program& program, const StatsArguments& arguments) {
  // Of what is read once, only the blocks that threads are working on need to be kept.
  constexpr int64_t kMemory = int64_t{256} << 20;
  if (arguments.json) log_information_to_stderr();
  const Config config = arguments.source.config();
  DatasetOptions options = training_data_options(config);
  options.memory_budget = kMemory;
  options.probe = true;
  options.finite = false;
  const auto dataset = open_dataset(config.data.train, options);
  WorkProgress progress("stats " + arguments.source.source, program.environment());
  const DataStatistics statistics = measure_statistics(
      *dataset,
      {.channels_first = arguments.channels_first,
       .threads = arguments.threads > 0 ? arguments.threads : static_cast<int>(usable_cores().size()),
       .progress = [&](int64_t done, int64_t all) { progress.show(done, all); }});
  progress.clear();
  if (arguments.json)
    print_json(statistics_json(*dataset, statistics));
  else
    print_statistics(*dataset, statistics);
  return 0;
}

}  // namespace

void add_stats(Command data, Program& program) {
  Command command =
      data.add_command("stats", "Mean, deviation, range and histogram of each channel, and classes");
  auto arguments = std::make_shared<StatsArguments>();
  add_source(command, arguments->source);
  command.add_flag("--channels-first", arguments->channels_first,
                   "The channels are the first axis of a sample, not the last");
  command.add("--threads", arguments->threads, "Threads that read; default: all cores")
      .check(whole_number(1, 1024));
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] { return run_stats(program, *arguments); });
}

}  // namespace lockstep
