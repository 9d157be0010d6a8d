#include "tests/support/run_program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/io/temporary_folder.h"
#include "tests/support/binary.h"

namespace lockstep {

namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& command, const std::string& folder, int seconds) {
  const TemporaryFolder output;
  const std::string out = output / "out", err = output / "err";
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    setpgid(0, 0);  // so that a time-out ends mpirun's ranks too
    // An emulated GPU is there for the test itself. A program uses one only if its command line sets this.
    unsetenv("LOCKSTEP_EMULATED_GPUS");
    const int in_file = open("/dev/null", O_RDONLY);
    const int out_file = open(out.c_str(), O_CREAT | O_WRONLY, 0600);
    const int err_file = open(err.c_str(), O_CREAT | O_WRONLY, 0600);
    if (dup2(in_file, 0) < 0 || dup2(out_file, 1) < 0 || dup2(err_file, 2) < 0 || chdir(folder.c_str()) != 0)
      _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) kill(-child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = contents(out);
  result.err = contents(err);
  return result;
}

std::vector<std::string> lockstep_command(int ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> command;
  if (ranks > 1)
    command = {"mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1",
               "-np",    std::to_string(ranks)};
  command.push_back(lockstep_binary());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

}  // namespace lockstep
