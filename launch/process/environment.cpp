#include "launch/process/environment.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "launch/process/launch_link.h"

namespace lockstep {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// A whole number of at least zero, or `missing`.
int number(const char* name, int missing) {
  const std::string text = variable(name);
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc{} && end == text.data() + text.size() && value >= 0 ? value : missing;
}

/// Seconds since 1970.
std::optional<std::chrono::system_clock::time_point> time_point(const char* name) {
  const std::string text = variable(name);
  int64_t seconds = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (status != std::errc{} || end != text.data() + text.size() || seconds <= 0) return std::nullopt;
  return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
}

/// Whether this is one of several tasks whose environment has lost the step's number (for example in a
/// container). A batch script, which is one process, has a number near 2^32, which is not an int, or none in
/// some versions.
bool is_task_without_step(int task, int tasks) {
  if (tasks < 2 || !variable("SLURM_STEP_ID").empty()) return false;
  return task > 0 || (task == 0 && variable("ENVIRONMENT") != "BATCH");
}

LauncherFacts find_launcher() {
  LauncherFacts facts;
  // Open MPI's and MPICH's mpirun mark their processes. Inside a Slurm job those processes see Slurm's
  // variables too, but of the step that started mpirun's daemons, so they are ignored then.
  if (!variable("OMPI_COMM_WORLD_SIZE").empty() || !variable("HYDI_CONTROL_FD").empty()) {
    facts.launcher = "mpirun";
    const int ranks = number("OMPI_COMM_WORLD_SIZE", 0);
    facts.one_machine = ranks > 0 && ranks == number("OMPI_COMM_WORLD_LOCAL_SIZE", -1);
    return facts;
  }
  const bool serves_mpi = number("PMIX_RANK", -1) >= 0 || number("PMI_RANK", -1) >= 0;
  const int task = number("SLURM_PROCID", -1);
  const bool has_step = number("SLURM_STEP_ID", -1) >= 0 && task >= 0;
  const int tasks =
      has_step ? number("SLURM_STEP_NUM_TASKS", number("SLURM_NTASKS", 1)) : number("SLURM_NTASKS", 1);
  if (has_step && tasks == 1 && !serves_mpi) {
    // For example `srun --pty bash`, where the user starts programs by hand.
    facts.lone_slurm_task = true;
  } else if (has_step || (!serves_mpi && is_task_without_step(task, tasks))) {
    facts.launcher = "srun";
    facts.slurm_tasks = tasks;
    facts.slurm_rank = task;
    facts.slurm_serves_mpi = serves_mpi;
  } else if (serves_mpi) {
    facts.launcher = "mpirun";
  }
  return facts;
}

int find_rank_hint() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const int rank = number(name, -1); rank >= 0) return rank;
  }
  return 0;
}

/// Opens a terminal to query it; fails if the path is not a terminal.
class Terminal {
 public:
  explicit Terminal(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0 || !S_ISCHR(info.st_mode)) return;
    descriptor_ = open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  }
  ~Terminal() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool exists() const { return descriptor_ >= 0 && isatty(descriptor_) != 0; }
  /// The terminal's width; 0 if unknown.
  int columns() const {
    winsize size{};
    return exists() && ioctl(descriptor_, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
  }

 private:
  int descriptor_ = -1;
};

/// The terminal that the user sees. mpirun gives each rank a pseudo-terminal even if its own output goes to a
/// file, so this is the one to which mpirun writes, which a rank on the same machine can look up.
std::string terminal_path(const LauncherFacts& launcher) {
  return launcher.launcher == "mpirun" ? "/proc/" + std::to_string(getppid()) + "/fd/1" : "/proc/self/fd/1";
}

std::string find_cache_folder() {
  // The specification of these folders requires relative ones to be ignored.
  if (const std::string cache = variable("XDG_CACHE_HOME"); cache.starts_with('/'))
    return cache + "/lockstep";
  if (const std::string home = variable("HOME"); home.starts_with('/')) return home + "/.cache/lockstep";
  return "/tmp/lockstep-" + std::to_string(getuid());
}

bool on_path(const std::string& program) {
  std::istringstream folders(variable("PATH"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

Environment read_environment() {
  Environment environment;
  environment.launcher = find_launcher();
  environment.rank_hint =
      environment.launcher.launcher == "srun" ? environment.launcher.slurm_rank : find_rank_hint();
  environment.launch_link = variable(kLaunchVariable);
  environment.slurm_job = variable("SLURM_JOB_ID");
  environment.slurm_nodes = number("SLURM_JOB_NUM_NODES", 0);
  environment.slurm_job_end = time_point("SLURM_JOB_END_TIME");
  environment.cache_folder = find_cache_folder();
  environment.has_sbatch = on_path("sbatch");
  const std::string kind = variable("TERM");
  if (environment.slurm_job.empty() && !kind.empty() && kind != "dumb") {
    const std::string path = terminal_path(environment.launcher);
    if (Terminal(path).exists()) environment.terminal = path;
  }
  environment.interactive = !environment.terminal.empty();
  environment.columns = number("COLUMNS", 0);
  return environment;
}

int current_columns(const Environment& environment) {
  if (environment.columns > 0) return environment.columns;
  const int columns = environment.terminal.empty() ? 0 : Terminal(environment.terminal).columns();
  return columns > 0 ? columns : 80;
}

std::string home_folder() {
  if (const std::string home = variable("HOME"); !home.empty()) return home;
  const passwd* account = getpwuid(getuid());
  std::error_code none;
  return account != nullptr && account->pw_dir != nullptr && account->pw_dir[0] != '\0'
             ? account->pw_dir
             : std::filesystem::temp_directory_path(none).string();
}

std::string host_identity() {
  if (const std::string id = variable("NCCL_HOSTID"); !id.empty()) return id;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace lockstep
