#include <algorithm>
#include <iterator>
#include <memory>
#include <span>
#include <utility>

#include "io/hdf5/crash_report.h"
#include "io/probe/inspect.h"
#include "io/probe/probe.h"
#include "io/repack/repack.h"
#include "launch/commands/data.h"
#include "launch/report/report.h"
#include "launch/report/work_progress.h"
#include "src/core/cores.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text/json.h"
#include "src/core/text/printable.h"
#include "src/train/run/run_settings.h"

namespace lockstep {

namespace {

using Codec = RepackOptions::Codec;

struct RepackArguments {
  std::string in, out, codec = "auto";
  uint64_t chunk = uint64_t{256} << 10, memory = uint64_t{1} << 30;
  RepackOptions options;
  bool force = false, json = false;
};

Json as_json(const RepackedDataset& dataset) {
  Json trials = Json::array();
  for (const CodecTrial& trial : dataset.trials)
    trials.push_back(
        {{"deflate", trial.level}, {"ratio", trial.ratio}, {"decode_bytes_per_s", trial.decode_rate}});
  return {{"name", dataset.name},
          {"samples", dataset.samples},
          {"chunk_samples", dataset.chunk_samples},
          {"deflate", dataset.level},
          {"bytes_before", dataset.bytes_before},
          {"bytes_after", dataset.bytes_after},
          {"trials", std::move(trials)}};
}

void print(const std::vector<RepackedDataset>& datasets) {
  std::vector<std::vector<std::string>> rows{{"data set", "samples", "stored", "before", "after", "decodes"}};
  for (const RepackedDataset& dataset : datasets) {
    std::string rate = "-";
    for (const CodecTrial& trial : dataset.trials)
      if (trial.level == dataset.level) rate = readable_bytes(static_cast<int64_t>(trial.decode_rate)) + "/s";
    rows.push_back({printable(dataset.name), readable_count(dataset.samples),
                    dataset.level == 0
                        ? "contiguous"
                        : fmt::format("chunks of {}, deflate {}", dataset.chunk_samples, dataset.level),
                    readable_bytes(dataset.bytes_before), readable_bytes(dataset.bytes_after), rate});
  }
  print_table(rows, {false, true, false, true, true, true});
}

/// The ranks that were started; this process alone without a launcher, for which MPI need not be initialized.
RepackRanks ranks_of(Program& program) {
  if (program.environment().launcher.launcher.empty()) return {};
  World& world = program.world();
  return {.rank = world.rank(),
          .size = world.size(),
          .send = [&world](std::span<const std::byte> message, int to) { world.send(message, to); },
          .receive = [&world](int from) { return world.receive(from); }};
}

int run_repack(Program& program, RepackArguments& arguments) {
  const std::pair<const char*, Codec> codecs[] = {
      {"auto", Codec::automatic}, {"none", Codec::none}, {"deflate", Codec::deflate}};
  const auto* const codec = std::ranges::find(codecs, arguments.codec, [](const auto& c) { return c.first; });
  if (codec == std::end(codecs))
    fail(ExitCode::usage, "--codec {}: unknown codec. Known: auto, none, deflate.", arguments.codec);
  if (arguments.json) log_information_to_stderr();
  const RepackRanks ranks = ranks_of(program);
  RepackOptions& options = arguments.options;
  options.codec = codec->second;
  options.chunk_bytes = static_cast<int64_t>(arguments.chunk);
  options.memory_bytes = static_cast<int64_t>(arguments.memory);
  if (options.threads == 0)
    options.threads = program.has_world() ? std::max(1, fair_share_of_cores(program.world()))
                                          : static_cast<int>(usable_cores().size());
  if (ranks.rank > 0) {
    hdf5::report_crashes();
    help_to_repack(arguments.in, options, ranks);
    return 0;
  }
  check_result(arguments.out, arguments.force);
  refuse_to_replace(arguments.out, {arguments.in});
  // A damaged file ends the child that looks at it, not this process.
  std::vector<std::string> names;
  for (const DatasetDescription& dataset : describe_file(arguments.in).datasets)
    if (dataset.usable) names.push_back(dataset.name);
  probe_files({arguments.in}, names);
  hdf5::report_crashes();
  WorkProgress progress("repack " + arguments.in, program.environment());
  options.progress = [&](int64_t done, int64_t all) { progress.show(done, all); };
  const std::vector<RepackedDataset> datasets = repack(arguments.in, arguments.out, options, ranks);
  progress.clear();
  if (arguments.json) {
    Json report = {{"in", arguments.in}, {"out", arguments.out}, {"datasets", Json::array()}};
    for (const RepackedDataset& dataset : datasets) report["datasets"].push_back(as_json(dataset));
    print_json(report);
  } else {
    print(datasets);
    print_text("wrote {}\n", arguments.out);
  }
  return 0;
}

}  // namespace

void add_repack(Command data, Program& program) {
  Command command =
      data.add_command("repack", "Copy a file with its samples stored so that they are read fast");
  auto arguments = std::make_shared<RepackArguments>();
  command.add("IN", arguments->in, "An HDF5 file").required();
  command.add("OUT", arguments->out, "The HDF5 file to write").required();
  command.add("--codec", arguments->codec,
              "none: contiguous; deflate: compressed; auto: deflate where it makes values at least 1.5 times "
              "smaller; default: auto");
  command.add_size("--chunk", arguments->chunk, "Size of a chunk, at least one sample; default: 256K");
  command.add_flag("--shuffle", arguments->options.shuffle, "Put the samples in a random order");
  command.add("--seed", arguments->options.seed, "Seed of that order; default: 1");
  command.add_size(
      "--memory", arguments->memory,
      "Memory of each rank for samples; --shuffle reads a larger data set several times; default: 1G");
  arguments->options.threads = 0;
  command
      .add("--threads", arguments->options.threads, "Threads of each rank that compress; default: all cores")
      .check(whole_number(1, 1024));
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer(
      "Several ranks share the work and write the same file:\n"
      "  mpirun -np 4 lockstep data repack IN OUT");
  command.action(program, [&program, arguments] { return run_repack(program, *arguments); });
}

}  // namespace lockstep
