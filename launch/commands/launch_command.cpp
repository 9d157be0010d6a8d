#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/commands/train_arguments.h"
#include "launch/process/child_process.h"
#include "launch/process/restart_policy.h"
#include "launch/slurm/job.h"
#include "src/core/cores.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// The mpirun options for --bind; more ranks than cores share them.
const std::map<std::string, std::string> kBindings = {{"none", "none"},
                                                      {"core", "core:overload-allowed"},
                                                      {"socket", "socket:overload-allowed"},
                                                      {"numa", "numa:overload-allowed"}};

struct LaunchArguments {
  int ranks = 1;
  RestartRules restarts;
  std::string bind = "none";
  std::vector<std::string> command;
};

std::vector<std::string> mpirun_words(const LaunchArguments& arguments) {
  // This program itself reports how a job ended. Without --oversubscribe mpirun counts cores, not hardware
  // threads or the limit of a container.
  std::vector<std::string> words = {"mpirun",
                                    // the equivalent of --quiet, an option that version 5 does not have
                                    "--mca", "orte_execute_quiet", "1", "-n", std::to_string(arguments.ranks),
                                    "--oversubscribe", "--bind-to", kBindings.at(arguments.bind)};
  if (geteuid() == 0) words.emplace_back("--allow-run-as-root");
  // Ranks must yield while they wait for one that shares their core.
  if (arguments.ranks > std::ssize(usable_cores()))
    words.insert(words.end(), {"--mca", "mpi_yield_when_idle", "1"});
  words.push_back(own_program());
  return words;
}

/// A training run that can be restarted and resumes.
class Training {
 public:
  /// The arguments after `train`.
  explicit Training(std::vector<std::string> given) : given_(std::move(given)) {
    const bool runs =
        parse_arguments("train", given_, [&](Command train) { add_train_options(train, arguments_); });
    if (!runs || arguments_.config_help) return;  // train itself will print the error or help
    folder_ = chosen_run_folder(arguments_);
    newest_ = first_newest_ = find_newest();
  }

  std::vector<std::string> first_try() const { return with_folder(given_); }
  /// Records the run folder taken by the ranks; otherwise a restart would take the next free one.
  void took(const std::string& folder) {
    if (folder.empty()) return;
    folder_ = folder;
    has_folder_ = true;
  }
  /// The arguments to start from the newest checkpoint, or from the beginning.
  std::vector<std::string> next_try() const {
    if (!has_folder_ || starts_where_it_was_told_to()) return first_try();
    std::vector<std::string> words;
    for (size_t i = 0; i < given_.size(); ++i) {
      if (given_[i].starts_with("--resume=")) continue;
      if (given_[i] == "--resume")
        ++i;  // and its value
      else
        words.push_back(given_[i]);
    }
    words.insert(words.end(), {"--resume", "auto"});
    return with_folder(std::move(words));
  }

  /// Whether there is a newer checkpoint than at the previous call.
  bool progressed() {
    const Newest now = find_newest();
    return std::exchange(newest_, now) != now;
  }
  /// Where the next attempt starts, in words.
  std::string start_of_next_try() const {
    if (starts_where_it_was_told_to()) return arguments_.resume;
    return newest_.path.empty() ? "the beginning" : newest_.path;
  }

 private:
  /// A run resumed from an older checkpoint writes the same file again.
  struct Newest {
    std::string path;
    std::filesystem::file_time_type written;
    bool operator==(const Newest&) const = default;
  };

  Newest find_newest() const {
    if (folder_.empty()) return {};
    const std::vector<std::string> all = find_checkpoints(folder_);
    std::error_code gone;
    return all.empty() ? Newest{} : Newest{all.front(), std::filesystem::last_write_time(all.front(), gone)};
  }
  /// A checkpoint given by --resume may be older than the folder's newest, until the run writes its own.
  bool starts_where_it_was_told_to() const {
    return !arguments_.resume.empty() && arguments_.resume != "auto" && newest_ == first_newest_;
  }
  std::vector<std::string> with_folder(std::vector<std::string> words) const {
    if (arguments_.run.empty() && has_folder_) words.insert(words.end(), {"--run", folder_});
    words.insert(words.begin(), "train");
    return words;
  }

  std::vector<std::string> given_;
  TrainArguments arguments_;
  std::string folder_;
  bool has_folder_ = false;  ///< otherwise the ranks take that one unless another process does first
  Newest newest_, first_newest_;
};

std::vector<std::string> joined(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

int launch_training(const LaunchArguments& arguments, const std::vector<std::string>& mpirun) {
  // Including signals between two attempts.
  const HeldSignals held;
  Training training({arguments.command.begin() + 1, arguments.command.end()});
  RestartPolicy policy(arguments.restarts);
  std::vector<std::string> next = training.first_try();
  for (;;) {
    const JobEnd end = run_job(joined(mpirun, next), arguments.ranks);
    if (end.asked_to_stop) return end.exit_code;
    training.took(end.run_folder);
    const std::optional<double> wait = policy.after(end.exit_code, training.progressed());
    if (!wait) {
      if (lost_a_rank(end.exit_code) && arguments.restarts.max_in_a_row > 0)
        log_error("launch: gave up after {} restart{} without a new checkpoint: {}", policy.in_a_row(),
                  policy.in_a_row() == 1 ? "" : "s", end.why);
      return end.exit_code;
    }
    log_warning("launch: {}", end.why);
    log_warning("launch: restart {} of {} in {:.3g} s, from {}", policy.in_a_row(),
                arguments.restarts.max_in_a_row, *wait, training.start_of_next_try());
    if (!wait_unless_stopped(*wait)) return end.exit_code;
    next = training.next_try();
  }
}

int run_launch(const Program& program, const LaunchArguments& arguments) {
  if (!program.environment().launcher.launcher.empty())
    fail(ExitCode::usage, "{} runs already: launch starts the ranks itself. Use only one of the two.",
         program.environment().launcher.launcher);
  if (arguments.ranks < 1) fail(ExitCode::usage, "-n {}: at least one rank is needed.", arguments.ranks);
  if (arguments.restarts.max_in_a_row < 0 || !(arguments.restarts.first_wait >= 0))
    fail(ExitCode::usage, "--restarts and --backoff must not be negative.");
  if (!kBindings.contains(arguments.bind))
    fail(ExitCode::usage, "--bind {}: choose none, core, socket or numa.", arguments.bind);
  const std::vector<std::string> mpirun = mpirun_words(arguments);
  if (arguments.command[0] == "train") return launch_training(arguments, mpirun);
  // These are ended at once by a signal, as without mpirun.
  return run_job(joined(mpirun, arguments.command), /*saving_ranks=*/0).exit_code;
}

}  // namespace

void separate_launched_command(std::vector<std::string>& words) {
  static const std::set<std::string> kWithValue = {"-n", "--restarts", "--backoff", "--bind"};
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--") return;
    if (kWithValue.contains(words[i]))
      ++i;
    else if (!words[i].starts_with('-')) {
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(i), "--");
      return;
    }
  }
}

void add_launch_command(Command app, Program& program) {
  Command command =
      app.add_command("launch", "Start ranks on this machine; restart training after a failure");
  auto arguments = std::make_shared<LaunchArguments>();
  command.add("-n", arguments->ranks, "Ranks").type("N").required();
  command
      .add("--restarts", arguments->restarts.max_in_a_row,
           "Restarts of train after a lost rank, without a new checkpoint in between; default: 3")
      .type("K");
  command
      .add("--backoff", arguments->restarts.first_wait,
           "Seconds before the first restart, then doubled; default: 1")
      .type("S");
  command.add("--bind", arguments->bind, "none, core, socket or numa: see mpirun; default: none").type("");
  command.add("COMMAND", arguments->command, "What to start: train CONFIG.toml ...").required();
  command.footer("For example: lockstep launch -n 2 train CONFIG.toml --set run.name=two");
  command.action(program, [&program, arguments] { return run_launch(program, *arguments); });
}

}  // namespace lockstep
