#include "io/probe/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string_view>
#include <thread>

#include "src/core/error.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kAnswerLimit = size_t{64} << 20;

struct ProbeProgram {
  std::mutex mutex;
  std::string path = "/proc/self/exe";
};

ProbeProgram& probe_program() {
  static ProbeProgram program;
  return program;
}

/// The environment without the variables that would make a child take itself for a rank of an MPI job.
std::vector<char*> child_environment() {
  std::vector<char*> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool drop = false;
    for (const std::string_view prefix : {"OMPI_", "PMIX_", "PMI_", "PMI2_", "PRTE_"})
      drop |= text.starts_with(prefix);
    if (!drop) kept.push_back(*entry);
  }
  kept.push_back(nullptr);
  return kept;
}

/// A program that does not handle the probe's arguments would start children recursively.
void require_not_in_probe() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string program, first;
  std::getline(file, program, '\0');
  std::getline(file, first, '\0');
  INVARIANT(first != "__probe", "a probe asked for a probe");
}

/// A child process with its standard output in a pipe and no other inherited descriptor. Killed on
/// destruction if still running.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& arguments) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      fail(ExitCode::lost, "cannot make a pipe to a child process: {}.", std::strerror(errno));
    output_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    // The child must not inherit MPI's sockets and the GPU driver's files.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    // Ctrl-C and Open MPI 5 send a request to stop to every process of a rank's group. The rank decides what
    // comes of it, and ends the child if it ends itself.
    sigset_t requests, all;
    sigemptyset(&requests);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&requests, signal);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &requests);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> environment = child_environment();
    const int status = posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (status != 0) {
      ::close(output_);
      pid_ = -1;
      fail(ExitCode::lost, "cannot start {} as a child process to look at a data file: {}.", arguments[0],
           std::strerror(status));
    }
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    ::close(output_);
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }

  /// Reads everything it prints until it closes its output, and calls visit when there is more; false if it
  /// prints nothing for `patience`, or more than the limit.
  template <typename Visit>
  bool read_all(std::string& text, Clock::duration patience, Visit visit) const {
    char piece[1 << 16];
    Clock::time_point deadline = Clock::now() + patience;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0 || text.size() > kAnswerLimit) return false;
      pollfd waiting{output_, POLLIN, 0};
      if (poll(&waiting, 1, static_cast<int>(left)) <= 0) continue;
      const ssize_t count = ::read(output_, piece, sizeof(piece));
      if (count == 0) return true;
      if (count > 0) {
        text.append(piece, static_cast<size_t>(count));
        deadline = Clock::now() + patience;
        visit();
      }
      if (count < 0 && errno != EINTR && errno != EAGAIN) return true;
    }
  }

  /// Its wait status once it has ended, or -1 if it has not ended by the deadline.
  int wait_until(Clock::time_point deadline) {
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(pid_, &status, WNOHANG);
      if (ended == pid_ || (ended < 0 && errno != EINTR)) {
        pid_ = -1;
        return ended > 0 ? status : 0;
      }
      if (Clock::now() > deadline) return -1;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// The parsed output of a probe.
struct Answer {
  bool is_probe = false;
  bool done = false;
  size_t file = 0;  ///< the file that it examined last
  nlohmann::json last;
};

Answer read_answer(const std::string& text) {
  Answer answer;
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    nlohmann::json line = try_parse_json(std::string_view(text).substr(begin, end - begin));
    if (!line.is_object()) continue;
    answer.is_probe = answer.is_probe || line.contains("probe");
    if (!answer.is_probe) break;
    if (line.contains("at")) answer.file = line["at"].get<size_t>();
    answer.done = line.contains("error") || line.contains("result");
    answer.last = std::move(line);
  }
  return answer;
}

/// Passes on the progress that lines from `seen` on report, and moves `seen` behind them.
void report_work(const std::string& text, size_t& seen,
                 const std::function<void(int64_t done, int64_t all)>& progress) {
  constexpr size_t kLongestReport = 200;
  for (size_t end; (end = text.find('\n', seen)) != std::string::npos; seen = end + 1) {
    if (!progress || end - seen > kLongestReport) continue;
    const nlohmann::json line = try_parse_json(std::string_view(text).substr(seen, end - seen));
    if (line.is_object() && line.contains("read"))
      progress(line["read"].get<int64_t>(), line["of"].get<int64_t>());
  }
}

}  // namespace

void set_probe_program(const std::string& path) {
  const std::scoped_lock lock(probe_program().mutex);
  probe_program().path = path;
}

nlohmann::json run_in_probe(const std::string& task, const std::vector<std::string>& files,
                            const std::vector<std::string>& names, double seconds,
                            const std::function<void(int64_t done, int64_t all)>& progress) {
  require_not_in_probe();
  std::vector<std::string> arguments;
  {
    const std::scoped_lock lock(probe_program().mutex);
    arguments = {probe_program().path, "__probe", task, std::to_string(static_cast<int64_t>(seconds) + 1),
                 std::to_string(names.size())};
  }
  arguments.insert(arguments.end(), names.begin(), names.end());
  arguments.insert(arguments.end(), files.begin(), files.end());

  const auto patience = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  ChildProcess child(arguments);
  std::string text;
  size_t seen = 0;
  const bool in_time = child.read_all(text, patience, [&] { report_work(text, seen, progress); });
  const int status = in_time ? child.wait_until(Clock::now() + patience) : -1;
  Answer answer = read_answer(text);
  if (answer.done) {
    if (answer.last.contains("error"))
      throw Error(static_cast<ExitCode>(answer.last["code"].get<int>()),
                  answer.last["error"].get<std::string>());
    return std::move(answer.last["result"]);
  }
  const std::string& file = files[std::min(answer.file, files.size() - 1)];
  constexpr const char* kRemedy = "The file is damaged or hostile: recreate it, or check where it came from.";
  if (text.size() > kAnswerLimit)
    fail(ExitCode::data,
         "{}: the list of its data sets takes more than {} MiB. Divide it into several files.", file,
         kAnswerLimit >> 20);
  if (status == -1 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
    fail(ExitCode::data, "{}: libhdf5 made no progress for {:.0f} s while looking at it. {}", file, seconds,
         kRemedy);
  if (!answer.is_probe)
    fail(ExitCode::bug, "{} was started to look at {} and did not answer as a probe ({} {}).", arguments[0],
         file, WIFSIGNALED(status) ? "signal" : "exit status",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  if (WIFSIGNALED(status))
    fail(ExitCode::data, "{}: libhdf5 crashed ({}) while looking at it. {}", file,
         strsignal(WTERMSIG(status)), kRemedy);
  fail(ExitCode::data, "{}: libhdf5 ended the process (exit status {}) while looking at it. {}", file,
       WEXITSTATUS(status), kRemedy);
}

std::vector<std::string> probe_files(const std::vector<std::string>& files,
                                     const std::vector<std::string>& names, double seconds) {
  const nlohmann::json answer = run_in_probe("look", files, names, seconds);
  return answer.at("warnings").get<std::vector<std::string>>();
}

}  // namespace lockstep
