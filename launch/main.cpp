#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "io/probe/probe.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/process/hangup.h"
#include "launch/process/supervise.h"
#include "src/core/console.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// Makes an error one line of a terminal, whatever file names and arguments contain.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  return text;
}

/// Prints the error and ends this process, or every process of the job, with the exit code.
int end_with(Program& program, ExitCode code, const std::string& message) {
  // Before MPI is initialized, all ranks fail alike (for a wrong option): only one prints it. The others
  // leave it the time to do so, as a launcher ends the job with the first of them, output and all.
  if (!program.has_world()) {
    if (program.environment().rank_hint == 0)
      log_error("{}", one_line(message));
    else
      std::this_thread::sleep_for(std::chrono::seconds(1));
    return static_cast<int>(code);
  }
  World& world = program.world();
  // Usually every rank has the same error, and one per machine prints it: rank 0 if it gets here soon. Ranks
  // of other machines leave it time to end the job.
  if (world.rank() > 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1000 + 500 * world.rank() / world.size()));
  if (program.speaks_first()) log_error("{}", one_line(message));
  if (world.size() > 1) world.abort(static_cast<int>(code));
  return static_cast<int>(code);
}

/// The output of a command is its result, so failing to write it is an error. A closed pipe is not an error,
/// nor is any failure in training, whose result is its run folder.
int finish_output(const Program& program, int code) {
  flush_text(stdout);
  const int error = output_error();
  if (error == 0 || error == EPIPE) return code;
  if (program.prints_its_result)
    fail(ExitCode::data, "cannot write to standard output: {}", std::strerror(error));
  log_warning("some lines could not be written to standard output: {}. log.txt in the run folder has them.",
              std::strerror(error));
  return code;
}

/// The words after the program's name.
std::vector<std::string> words_to_parse(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "launch") separate_launched_command(words);
  return words;
}

/// The folder to which relative paths and run folders refer.
void check_current_folder() {
  std::error_code status;
  [[maybe_unused]] const std::filesystem::path here = std::filesystem::current_path(status);
  if (status)
    fail(ExitCode::usage, "the current folder cannot be used ({}): change to another one with cd first.",
         status == std::errc::no_such_file_or_directory ? "it was deleted" : status.message());
}

int run(int argc, char** argv, Program& program) {
  CommandLineParser parser("Lockstep: a distributed data-parallel trainer for HDF5 data");
  Command app = parser.root();
  add_train_command(app, program);
  add_eval_command(app, program);
  add_predict_command(app, program);
  add_data_command(app, program);
  add_model_command(app, program);
  add_bench_command(app, program);
  add_slurm_command(app, program);
  add_doctor_command(app, program);
  add_launch_command(app, program);
  parser.add_help_command(program);
  app.footer("Several ranks: lockstep launch -n N train ...\nEvery command has --help.");
  if (const auto code = parser.parse(words_to_parse(argc, argv), program)) return *code;
  check_current_folder();
  if (!program.takes_signals) let_signals_in();
  const int code = program.action();
  return finish_output(program, code);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using lockstep::ExitCode;
  lockstep::restore_hangup();
  // A write beyond the file size limit then fails like one to a full disk, which is handled, instead of
  // ending the process.
  std::signal(SIGXFSZ, SIG_IGN);
  // The reader of the output may close it before a run ends; finish_output() handles that.
  std::signal(SIGPIPE, SIG_IGN);
  lockstep::keep_standard_streams();
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
  } catch (const std::system_error& error) {  // of the standard library, such as for an inaccessible path
    return lockstep::end_with(program, ExitCode::data, error.what());
  } catch (const std::exception& error) {
    return lockstep::end_with(program, ExitCode::bug, error.what());
  }
}
