#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <set>

#include "io/hdf5/sources/family.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/process/child_process.h"
#include "launch/slurm/slurm_script.h"
#include "src/core/console.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/device/with_cuda.h"
#include "src/train/step/batching.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

struct SlurmArguments {
  SlurmJob job;
  std::string config;
  std::vector<std::string> sets;
  int tasks_per_node = 0, cpus_per_task = 0;  ///< 0: not given
  bool submit = false;
};

/// Checks a value that is unquoted in a line of sbatch's options.
void check_word(const char* option, const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-.,+:@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (!plain)
    fail(ExitCode::usage, "{} '{}': only letters, digits and _ - . , + : @ % are allowed", option, text);
}

void check_line(const char* option, const std::string& text) {
  if (text.find_first_of("\r\n") != std::string::npos)
    fail(ExitCode::usage, "{} '{}': repeat the option for each line", option, text);
}

/// A name valid for both a job and a folder.
std::string job_name(const SlurmArguments& arguments, const Config& config) {
  if (!arguments.job.name.empty()) return arguments.job.name;
  std::string name = config.run.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '_'; },
      '-');
  return name.empty() ? "train" : name;
}

/// Rejects options that a run on this many ranks would reject at its start.
void check_run(const SlurmJob& job, const Config& config) {
  const bool gpus = job.gpus_per_node > 0;
  if (gpus && !kCuda)
    fail(ExitCode::usage,
         "--gpus-per-node {}: this build of Lockstep has no CUDA backend. Build it with CUDA, or train on "
         "CPUs with --tasks-per-node.",
         job.gpus_per_node);
  if (gpus && config.run.device == DeviceChoice::cpu)
    fail(ExitCode::usage,
         "the job requests GPUs, but run.device = \"cpu\" uses none. Change one of them; --tasks-per-node "
         "instead of --gpus-per-node makes a job without GPUs.");
  if (!gpus && config.run.device == DeviceChoice::cuda)
    fail(ExitCode::usage, "run.device = \"cuda\" needs GPUs: request them with --gpus-per-node.");
  // The run chooses its micro-batches once it knows the model; divisibility does not depend on that.
  const int ranks = job.nodes * job.tasks_per_node, lanes = gpus ? 1 : job.cpus_per_task;
  const Batching batching = plan_batches(config, ranks, lanes, {});
  log_info("{} on {}; {} per step, {} per rank", counted(ranks, "rank"), counted(job.nodes, "node"),
           counted(batching.global_batch, "sample"), batching.rank_batch());
  std::set<std::string> files(config.data.train.files.begin(), config.data.train.files.end());
  for (const auto& source : {config.data.validation, config.data.test})
    if (source) files.insert(source->files.begin(), source->files.end());
  for (const std::string& file : files)
    if (std::error_code status; !hdf5::is_family_pattern(file) && !fs::exists(file, status))
      log_warning("{} does not exist on this machine: it must exist on the nodes of the job.", file);
}

/// The job that the arguments describe, checked as far as this machine can.
SlurmJob plan_job(const SlurmArguments& arguments) {
  const Config config = load_config(arguments.config, arguments.sets);
  SlurmJob job = arguments.job;
  job.name = job_name(arguments, config);
  if (job.gpus_per_node > 0 && arguments.tasks_per_node > 0 && job.gpus_per_node != arguments.tasks_per_node)
    fail(ExitCode::usage,
         "--tasks-per-node {} with --gpus-per-node {}: each GPU has one task. Remove --tasks-per-node.",
         arguments.tasks_per_node, job.gpus_per_node);
  job.tasks_per_node = job.gpus_per_node > 0 ? job.gpus_per_node : std::max(1, arguments.tasks_per_node);
  if (arguments.cpus_per_task > 0) job.cpus_per_task = arguments.cpus_per_task;
  for (const auto& [option, text] : {std::pair{"--job-name", job.name}, std::pair{"--account", job.account},
                                     std::pair{"--partition", job.partition}})
    check_word(option, text);
  for (const std::string& line : job.setup) check_line("--setup", line);
  for (const std::string& line : job.options) {
    check_line("--sbatch", line);
    if (!line.starts_with("-"))
      fail(ExitCode::usage, "--sbatch '{}': write an option of sbatch, for example --sbatch=--qos=long",
           line);
  }
  slurm_seconds(job.time);
  check_run(job, config);

  job.folder = fs::current_path().string();
  job.program = {own_program()};
  if (!arguments.config.empty()) job.arguments.push_back(arguments.config);
  for (const std::string& set : arguments.sets) job.arguments.insert(job.arguments.end(), {"--set", set});
  // If a node lacks its GPUs, a GPU job must not fall back to the CPU, a hundred times slower.
  job.arguments.insert(job.arguments.end(), {"--device", job.gpus_per_node > 0 ? "cuda" : "cpu"});
  return job;
}

/// A file that is removed on destruction.
class TemporaryScript {
 public:
  explicit TemporaryScript(const std::string& text)
      : path_((fs::temp_directory_path() / "lockstep-XXXXXX").string()) {
    const int file = mkstemp(path_.data());
    const bool written =
        file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (file >= 0) close(file);
    if (!written) {
      unlink(path_.c_str());
      fail(ExitCode::data, "cannot write the script to {}", path_);
    }
  }
  ~TemporaryScript() { unlink(path_.c_str()); }
  TemporaryScript(const TemporaryScript&) = delete;
  TemporaryScript& operator=(const TemporaryScript&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void submit(const std::string& script) {
  const TemporaryScript file(script);
  const ChildResult result = run_child({"sbatch", file.path()});
  if (result.exit_code != 0) {
    std::string why = result.err;
    while (!why.empty() && std::isspace(static_cast<unsigned char>(why.back())) != 0) why.pop_back();
    fail(ExitCode::usage, "sbatch refuses the job: {}", why.empty() ? "no reason given" : why);
  }
  write_text(stdout, result.out);
}

int run_slurm_train(const Program& program, const SlurmArguments& arguments) {
  log_information_to_stderr();
  if (arguments.submit && !program.environment().has_sbatch)
    fail(ExitCode::usage,
         "sbatch is not on PATH: without --submit the script is printed, to be submitted on a machine that "
         "has it");
  const std::string script = sbatch_script(plan_job(arguments));
  if (arguments.submit) {
    submit(script);
  } else {
    write_text(stdout, script);
  }
  return 0;
}

void add_train(Command app, Program& program) {
  Command command = app.add_command("train", "Print the script of a training job, or submit it");
  auto arguments = std::make_shared<SlurmArguments>();
  SlurmJob& job = arguments->job;
  command.add("CONFIG", arguments->config, "TOML file; without it, a CNN on generated digits");
  const auto count = [&](const char* name, int& value, const char* help) {
    return command.add(name, value, help).type("N").check(whole_number(1, 1 << 20));
  };
  const auto text = [&](const char* name, std::string& value, const char* help, const char* type) {
    return command.add(name, value, help).type(type);
  };
  const auto texts = [&](const char* name, std::vector<std::string>& values, const char* help,
                         const char* type) { command.add(name, values, help).type(type); };
  count("--nodes", job.nodes, "Machines; default: 1");
  count("--gpus-per-node", job.gpus_per_node, "GPUs per machine, one rank each");
  count("--tasks-per-node", arguments->tasks_per_node, "Ranks per machine, without GPUs; default: 1");
  count("--cpus-per-task", arguments->cpus_per_task, "Cores per rank; default: 1");
  text("--time", job.time, "Time limit of the job: 2:00:00, 1-12", "TIME").required();
  text("--job-name", job.name, "Name of the job; default: run.name", "NAME");
  text("--account", job.account, "Account to charge", "NAME");
  text("--partition", job.partition, "Partition; default: the site's", "NAME");
  text("--launcher", job.launcher, "srun or mpirun; default: srun", "")
      .check(one_of_names({"srun", "mpirun"}));
  command.add_set(arguments->sets);
  text("--run", job.run, "Run folder; default: runs/NAME-JOB", "DIR");
  texts("--setup", job.setup, "Shell line to run first: 'module load openmpi'", "LINE");
  texts("--sbatch", job.options, "Option of sbatch: --sbatch=--qos=long", "OPTION");
  command.add_flag("--submit", arguments->submit, "Submit the job with sbatch");
  command.action(program, [&program, arguments] { return run_slurm_train(program, *arguments); });
}

}  // namespace

void add_slurm_command(Command app, Program& program) {
  Command command = app.add_group("slurm", "Create batch scripts for Slurm");
  add_train(command, program);
}

}  // namespace lockstep
