#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <sstream>

#include "comm/watch/watchdog.h"
#include "io/file/metrics_writer.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/commands/train_arguments.h"
#include "launch/config/config.h"
#include "launch/config/resumed_config.h"
#include "launch/config/unused_keys.h"
#include "launch/process/launch_link.h"
#include "launch/process/stop_signals.h"
#include "launch/process/supervise.h"
#include "launch/report/progress.h"
#include "launch/run/choose_device.h"
#include "launch/run/find_run.h"
#include "launch/run/generated_digits.h"
#include "launch/run/run_folder.h"
#include "launch/weights/initial_weights.h"
#include "src/core/console.h"
#include "src/core/log.h"
#include "src/core/text/json.h"
#include "src/ops/supported.h"
#include "src/train/run/trainer.h"

namespace lockstep {

namespace {

using std::chrono::steady_clock;

/// Decided by rank 0 and broadcast, so that the other ranks need not see the config file.
struct Decision {
  std::string config_text;
  std::string checkpoint;                       ///< to resume from; "" for a new run
  std::optional<LoadedCheckpoint> loaded = {};  ///< the same on rank 0, which has read it
  std::string warning;                          ///< on rank 0, for a resumed run; "": none
  std::unique_ptr<RunLock> folder = {};  ///< on rank 0, of the run; a new run takes it when it is ready
};

/// Command-line options are shorthands for --set.
std::vector<std::string> all_sets(const TrainArguments& arguments) {
  std::vector<std::string> sets = arguments.sets;
  if (!arguments.run.empty()) sets.push_back("run.dir=" + arguments.run);
  if (!arguments.device.empty()) sets.push_back("run.device=" + arguments.device);
  return sets;
}

/// The checkpoint selected by --resume; none if "auto" finds none and the run starts from the beginning.
std::optional<LoadedCheckpoint> checkpoint_to_resume(const TrainArguments& arguments, const Config& config) {
  if (arguments.resume == "auto") {
    const std::string folder = choose_run_folder(config, /*resume=*/true);
    return std::filesystem::exists(folder) ? load_newest_checkpoint(folder) : std::nullopt;
  }
  if (!std::filesystem::exists(arguments.resume))
    fail(ExitCode::usage, "--resume {}: no such file or folder{}", arguments.resume,
         run_suggestion(arguments.resume));
  std::optional<LoadedCheckpoint> found =
      load_newest_checkpoint(std::filesystem::absolute(arguments.resume).lexically_normal().string());
  if (!found)
    fail(ExitCode::data, "--resume {}: no checkpoint in this folder{}", arguments.resume,
         run_suggestion(arguments.resume));
  return found;
}

/// The run folder of RUN/checkpoints/FILE; "" for a checkpoint elsewhere.
std::string run_folder_of(const std::string& checkpoint) {
  const std::filesystem::path folder = std::filesystem::path(checkpoint).parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path().string() : "";
}

/// A warning about changed keys that should not change; "" if there are none. Throws Error(usage) instead if
/// changes are not allowed.
std::string warning_of(const std::vector<std::string>& changed, const std::string& checkpoint, bool allowed) {
  if (changed.empty()) return "";
  const std::string what = fmt::format("the config differs from the one that {} was trained with: {}.",
                                       checkpoint, fmt::join(changed, "; "));
  if (!allowed) fail(ExitCode::usage, "{} Undo the change, or add --allow-changed.", what);
  return what;
}

/// Joins two warnings, either of which may be empty.
std::string both(const std::string& one, const std::string& other) {
  return one.empty() || other.empty() ? one + other : one + "\n" + other;
}

/// On rank 0: reads the config, finds the checkpoint and takes the run folder.
Decision decide(const TrainArguments& arguments, const Environment& environment, int ranks) {
  const std::vector<std::string> sets = all_sets(arguments);
  Config config = load_config(arguments.config, sets);
  Decision decision;
  // Lock before reading: another process may be writing its newest checkpoint there.
  if (!arguments.resume.empty()) {
    Config there = config;
    there.run.dir = chosen_run_folder(arguments);
    decision.folder = take_run_folder(there, /*resume=*/true);
    decision.loaded = checkpoint_to_resume(arguments, config);
    if (!decision.loaded && std::filesystem::exists(decision.folder->folder() + "/config.toml"))
      decision.warning =
          fmt::format("{} holds a run that has saved no checkpoint: it starts from the beginning.",
                      decision.folder->folder());
  }
  if (decision.loaded) {
    decision.checkpoint = decision.loaded->path;
    const std::string& text = decision.loaded->text("config");
    Config before = parse_config(text, decision.checkpoint, "/", {});
    // Without a config file, the config of the checkpoint is used.
    if (arguments.config.empty()) config = parse_config(text, decision.checkpoint, "/", sets);
    name_generated_digits(config, environment.cache_folder);
    const Standing standing = {decision.loaded->integer("position"),
                               decision.loaded->integer("steps_per_epoch")};
    name_schedule_length(before, config, standing);
    decision.warning =
        both(warning_of(changed_keys(before, config), decision.checkpoint, arguments.allow_changed),
             both(schedule_change(before, config, standing), follow_ranks(config, ranks)));
    if (arguments.run.empty() && !run_folder_of(decision.checkpoint).empty())
      config.run.dir = run_folder_of(decision.checkpoint);
  }
  name_generated_digits(config, environment.cache_folder);
  if (arguments.resume.empty()) {
    // Taken when every rank is ready, but obstacles are reported before the data is read.
    take_run_folder(config, /*resume=*/false).reset();
  } else {
    if (choose_run_folder(config, /*resume=*/true) != decision.folder->folder()) {
      decision.folder.reset();
      decision.folder = take_run_folder(config, /*resume=*/true);
    }
    config.run.dir = decision.folder->folder();
  }
  decision.config_text = echo_config(config);
  return decision;
}

TrainObserver observe(const Config& config, Progress& progress, MetricsWriter& metrics) {
  const int64_t epochs = config.train.steps > 0 ? 0 : config.train.epochs;
  return {.on_step =
              [&](const StepEvent& event) {
                metrics.write(metrics_line(event));
                progress.step(event);
              },
          .on_pace =
              [&](const PaceEvent& event) {
                metrics.write(metrics_line(event));
                progress.pace(event);
              },
          .on_epoch =
              [&, epochs](const EpochEvent& event) {
                metrics.write(metrics_line(event));
                progress.epoch(event, epochs);
              },
          .on_end =
              [&](const EndEvent& event) {
                metrics.write(metrics_line(event));
                progress.end(event);
                if (event.reason == "preempted")
                  log_info(
                      "resume with the same command and --resume auto, or with lockstep train --resume {}",
                      config.run.dir);
              }};
}

/// The time limit of this process, by its job or the config; none if there is no limit. Slurm gives it as
/// wall-clock time, which is read once, because the clock may be set later.
std::optional<steady_clock::time_point> end_of_time(steady_clock::time_point started,
                                                    const Environment& environment, double minutes) {
  std::optional<steady_clock::time_point> end;
  if (environment.slurm_job_end) {
    const auto left = *environment.slurm_job_end - std::chrono::system_clock::now();
    // A time in the past is out of date, for example because the job was extended: ignore it.
    if (left > left.zero())
      end = steady_clock::now() + std::chrono::duration_cast<steady_clock::duration>(left);
  }
  if (minutes <= 0) return end;
  // A limit beyond the range of the clock is no limit.
  constexpr double kMaxMinutes = 60.0 * 24 * 365 * 100;
  const auto limit =
      started + std::chrono::duration_cast<steady_clock::duration>(
                    std::chrono::duration<double, std::ratio<60>>(std::min(minutes, kMaxMinutes)));
  return end ? std::min(*end, limit) : limit;
}

int exit_code_of(const EndEvent& end) {
  return static_cast<int>(end.reason == "preempted" ? ExitCode::preempted : ExitCode::ok);
}

int run_train(Program& program, const TrainArguments& arguments) {
  if (arguments.config_help) {
    write_lines(stdout, config_help());
    return 0;
  }
  const auto started = steady_clock::now();
  // Before MPI starts, which takes a while.
  take_stop_signals(/*speaks=*/program.environment().rank_hint == 0);
  let_signals_in();
  tell_launch_listening(program.environment().launch_link);
  World& world = program.world();
  Decision decision;
  if (world.rank() == 0) decision = decide(arguments, program.environment(), world.size());
  decision.config_text = world.broadcast(decision.config_text);
  decision.checkpoint = world.broadcast(decision.checkpoint);
  Config config = parse_config(decision.config_text, "the config in force", "/", {});
  config.config_text = decision.config_text;

  const Watchdog watchdog(world, config.comm.timeout_seconds);
  const Device device = choose_device(world, config.run.device);
  require_supported(device.exec(), config.run.precision);  // before data is generated or read
  make_generated_digits(config, world, program.environment().cache_folder);
  std::optional<ResumeFrom> resume;
  if (decision.loaded)
    resume = {*std::move(decision.loaded), arguments.allow_changed};
  else if (!decision.checkpoint.empty())
    resume = {{decision.checkpoint, load_checkpoint(decision.checkpoint)}, arguments.allow_changed};
  TrainerParts parts;
  // A resumed run has all values from its checkpoint.
  if (!resume && !config.init_from.empty()) parts.initial = initial_weights(world, config);
  Trainer trainer(world, device.exec(), config, model_factory(config), resume, std::move(parts));
  const bool resumed = resume.has_value();
  resume.reset();  // as large as the model

  const StopConditions stop{
      .asked = stop_signal,
      .ends_at = end_of_time(started, program.environment(), config.run.wall_time_minutes)};
  // If the run cannot start on any rank, no folder is left behind.
  world.barrier();
  if (world.rank() != 0) return exit_code_of(trainer.run({}, stop));
  if (!decision.folder) decision.folder = take_run_folder(config, /*resume=*/false);
  config.run.dir = decision.folder->folder();
  trainer.set_run_dir(config.run.dir);
  tell_launch_run_folder(program.environment().launch_link, config.run.dir);
  make_run_folder(config.run.dir, config_for_another_run(config));
  std::istringstream warnings(decision.warning);
  for (std::string line; std::getline(warnings, line);) log_warning("{}", line);
  if (resumed) log_info("resuming from {}", decision.checkpoint);
  log_info("{}", trainer.describe());
  log_info("run: {}", config.run.dir);
  for (const Finding& finding : trainer.findings()) log_warning("{}", finding.text);
  for (const Finding& finding : unused_keys(config, trainer.targets())) log_warning("{}", finding.text);
  Progress progress(program.environment());
  MetricsWriter metrics(config.run.dir + "/metrics.jsonl",
                        resumed ? std::optional(trainer.position()) : std::nullopt);
  return exit_code_of(trainer.run(observe(config, progress, metrics), stop));
}

}  // namespace

void add_train_options(Command command, TrainArguments& arguments) {
  command.add("CONFIG", arguments.config, "TOML file; without it, a CNN on generated digits");
  command.add_set(arguments.sets);
  command.add("--run", arguments.run, "Run folder; default: runs/NAME").type("DIR");
  command.add("--resume", arguments.resume, "auto, a run folder or a checkpoint").type("FROM");
  command.add_device(arguments.device);
  command.add_flag("--allow-changed", arguments.allow_changed, "Resume even if keys or data have changed");
  command.add_flag("--help-config", arguments.config_help, "List every config key and exit");
}

std::string chosen_run_folder(const TrainArguments& arguments) {
  const Config config = load_config(arguments.config, all_sets(arguments));
  if (arguments.run.empty() && !arguments.resume.empty() && arguments.resume != "auto") {
    const auto from = std::filesystem::absolute(arguments.resume).lexically_normal();
    if (std::filesystem::is_directory(from))
      return (from.has_filename() ? from : from.parent_path()).string();
    if (const std::string folder = run_folder_of(from.string()); !folder.empty()) return folder;
  }
  return choose_run_folder(config, !arguments.resume.empty());
}

void add_train_command(Command app, Program& program) {
  Command command = app.add_command("train", "Train a model");
  auto arguments = std::make_shared<TrainArguments>();
  add_train_options(command, *arguments);
  command.when_chosen([&program, arguments] {
    program.prints_its_result = arguments->config_help;
    program.takes_signals = true;
    program.action = [&program, arguments] { return run_train(program, *arguments); };
  });
}

}  // namespace lockstep
