#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

#include "io/probe.h"
#include "launch/program.h"
#include "launch/supervise.h"
#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/log.h"
#include "src/core/suggest.h"

namespace lockstep {

World& Program::world() {
  if (!world_) {
    world_ = std::make_unique<World>(environment_.launcher);
    set_log_rank(world_->rank(), world_->size());
    const std::string version = LOCKSTEP_VERSION;
    if (const auto rank = world_->find_different(hash_bytes(std::as_bytes(std::span(version)))))
      fail(ExitCode::usage,
           "rank {} runs another version of Lockstep than rank 0; this one is {}. Start the same program on "
           "every "
           "machine.",
           *rank, version);
  }
  return *world_;
}

namespace {

/// Whatever a file or an argument holds, an error is one line of a terminal.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return text;
}

/// Says what went wrong and ends this process, or every process of the job, with the code.
int end_with(Program& program, ExitCode code, const std::string& message) {
  // Before MPI runs, every rank fails alike (a wrong option, say): one of them says so.
  if (!program.has_world()) {
    if (program.environment().rank_hint == 0) log_error("{}", one_line(message));
    return static_cast<int>(code);
  }
  World& world = program.world();
  // Mostly every rank meets the same error: the first to end the job speaks for all, and rank 0 goes first.
  if (world.rank() > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1000 + 500 * world.rank() / world.size()));
  log_error("{}", one_line(message));
  if (world.size() > 1) world.abort(static_cast<int>(code));
  return static_cast<int>(code);
}

/// Help is part of the surface: it fits a terminal of 80 columns.
void configure_help(CLI::App& app) {
  app.get_formatter()->column_width(26);
  app.get_formatter()->label("REQUIRED", "(required)");
  app.require_subcommand(1);
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION, "Print the version and exit");
  app.failure_message([](const CLI::App*, const CLI::Error& error) { return std::string(error.what()); });
}

/// The command, or the command's command, that was meant but does not exist; "" when that is not the mistake.
std::string unknown_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const std::vector<std::string> rest = command->remaining();
  if (command->get_require_subcommand_min() == 0 || rest.empty()) return "";
  std::vector<std::string> known;
  for (const CLI::App* each : command->get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(each->get_name());
  return fmt::format("there is no command '{}'{}", rest.front(), suggestion(rest.front(), known));
}

/// What a command prints is its result: that it reached its file or pipe is part of success.
void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    fail(ExitCode::data, "cannot write to standard output: {}", std::strerror(errno));
}

int run(int argc, char** argv, Program& program) {
  CLI::App app("Lockstep: a distributed data-parallel trainer for HDF5 data", "lockstep");
  configure_help(app);
  add_train_command(app, program);
  add_eval_command(app, program);
  add_predict_command(app, program);
  add_data_command(app, program);
  add_model_command(app, program);
  add_bench_command(app, program);
  add_slurm_command(app, program);
  add_doctor_command(app, program);
  add_launch_command(app, program);
  app.footer("Several ranks: lockstep launch -n N -- train ...\nEvery command has --help.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    if (const std::string message = unknown_command(app); !message.empty())
      throw Error(ExitCode::usage, message);
    throw Error(ExitCode::usage, std::string(error.what()) + ". See lockstep --help.");
  }
  const int code = program.action();
  finish_output();
  return code;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using lockstep::ExitCode;
  // A write beyond the file size limit then fails like one to a full disk, which is reported and cleaned up
  // after, instead of ending the process.
  std::signal(SIGXFSZ, SIG_IGN);
  if (const auto code = lockstep::run_probe(argc, argv)) return *code;
  const lockstep::Environment environment = lockstep::read_environment();
  lockstep::supervise(environment);
  lockstep::Program program(environment);
  try {
    return lockstep::run(argc, argv, program);
  } catch (const lockstep::Error& error) {
    return lockstep::end_with(program, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return lockstep::end_with(
        program, ExitCode::memory,
        "out of memory. Lower data.memory_budget, train.micro_batch or the model's size.");
  } catch (const std::system_error& error) {  // of the standard library: a path it cannot look at, say
    return lockstep::end_with(program, ExitCode::data, error.what());
  } catch (const std::exception& error) {
    return lockstep::end_with(program, ExitCode::bug, error.what());
  }
}
