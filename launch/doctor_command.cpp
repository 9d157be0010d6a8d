#include <fcntl.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "comm/version.h"
#include "io/version.h"
#include "launch/program.h"
#include "launch/report.h"
#include "src/device/devices.h"
#include "src/device/exec.h"
#include "src/ops/version.h"

namespace lockstep {

namespace {

/// What follows "NAME :" or "NAME:" on its first line of a file of /proc; "" if it is not there.
std::string proc_field(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

int64_t proc_kilobytes(const std::string& name) {
  return std::strtoll(proc_field("/proc/meminfo", name).c_str(), nullptr, 10) << 10;
}

/// The memory that a container or a Slurm job may use, if it is limited.
std::optional<int64_t> memory_limit() {
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream in(file);
    int64_t bytes = 0;
    if (in >> bytes && bytes < (int64_t{1} << 60)) return bytes;
  }
  return std::nullopt;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

std::vector<std::string> vector_instructions() {
  std::vector<std::string> names;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) names.emplace_back("AVX2");
  if (__builtin_cpu_supports("fma")) names.emplace_back("FMA");
  if (__builtin_cpu_supports("avx512f")) names.emplace_back("AVX-512");
  if (__builtin_cpu_supports("avx512bf16")) names.emplace_back("AVX-512-BF16");
#endif
  return names;
}

void add_machine(Report& report) {
  report.section("machine");
  const std::string model = proc_field("/proc/cpuinfo", "model name");
  report.fact("CPU", model.empty() ? "unknown" : model, "cpu", model);
  const unsigned cores = std::thread::hardware_concurrency();
  const int usable = usable_cores();
  report.fact("cores", fmt::format("{} usable of {}", usable, cores), "cores",
              {{"usable", usable}, {"online", cores}});
  const auto names = vector_instructions();
  report.fact("instructions", names.empty() ? "none that matter" : fmt::format("{}", fmt::join(names, ", ")),
              "instructions", names);
  const int64_t total = proc_kilobytes("MemTotal"), free = proc_kilobytes("MemAvailable");
  std::string memory = fmt::format("{}, {} available", readable_bytes(total), readable_bytes(free));
  const auto limit = memory_limit();
  if (limit) memory += fmt::format(", limited to {}", readable_bytes(*limit));
  report.fact(
      "memory", memory, "memory",
      {{"total_bytes", total}, {"available_bytes", free}, {"limit_bytes", limit ? Json(*limit) : Json()}});
}

std::string dotted(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

void add_libraries(Report& report) {
  report.section("libraries");
  for (const auto& [name, key, version] :
       {std::tuple{"MPI", "mpi", mpi_library_version()}, std::tuple{"HDF5", "hdf5", hdf5_library_version()},
        std::tuple{"oneDNN", "onednn", onednn_library_version()}})
    report.fact(name, version, key, version);
  if constexpr (kCuda) report.fact("NCCL", nccl_library_version(), "nccl", nccl_library_version());
}

void add_gpus(Report& report, const DeviceReport& devices) {
  report.section("gpu");
  if constexpr (kCuda) {
    const std::string runtime = dotted(devices.runtime_version);
    report.fact("CUDA", fmt::format("{} in this build", runtime), "cuda_runtime", runtime);
    const std::string driver = devices.driver_version == 0 ? "none" : dotted(devices.driver_version);
    report.fact("driver supports", driver, "cuda_driver", driver);
    report.fact("cuDNN", std::to_string(devices.cudnn_version), "cudnn", devices.cudnn_version);
    report.fact("cuBLAS", std::to_string(devices.cublas_version), "cublas", devices.cublas_version);
  }
  Json list = Json::array();
  std::string all;
  for (const GpuInfo& gpu : devices.gpus) {
    list.push_back({{"index", gpu.index},
                    {"name", gpu.name},
                    {"compute", fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor)},
                    {"memory_bytes", gpu.memory_bytes},
                    {"bus_id", gpu.bus_id}});
    all += fmt::format("{}{}: {}, {}, compute {}.{}", all.empty() ? "" : "; ", gpu.index, gpu.name,
                       readable_bytes(gpu.memory_bytes), gpu.compute_major, gpu.compute_minor);
  }
  report.fact("GPUs", devices.gpus.empty() ? fmt::format("none: {}", devices.reason) : all, "devices", list);
  if (devices.gpus.empty()) report.fact("so", "training runs on the CPU", "reason", devices.reason);
}

void add_cluster(Report& report, const Environment& environment) {
  report.section("cluster");
  const std::string& launcher = environment.launcher.launcher;
  report.fact("started by", launcher.empty() ? "hand" : launcher, "launcher", launcher);
  report.fact("Slurm",
              !environment.slurm_job.empty()
                  ? fmt::format("inside job {} on {} nodes", environment.slurm_job, environment.slurm_nodes)
              : environment.has_sbatch ? "sbatch is here; not inside a job"
                                       : "no sbatch on PATH",
              "slurm",
              {{"sbatch", environment.has_sbatch},
               {"job", environment.slurm_job.empty() ? Json() : Json(environment.slurm_job)}});
}

/// The type of the file system that holds the folder, from the mount with the longest matching path.
std::string file_system_type(const std::string& folder) {
  std::ifstream mounts("/proc/self/mounts");
  std::string best_point, best_type;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, point, type;
    fields >> device >> point >> type;
    const bool inside = folder == point || point == "/" || folder.starts_with(point + "/");
    if (inside && point.size() >= best_point.size()) {
      best_point = point;
      best_type = type;
    }
  }
  return best_type;
}

/// Whether a file can be made in the folder and locked, as HDF5 does; in words and as the reason why not.
struct FolderCheck {
  bool writable = false, locking = false;
  std::string text;
};

FolderCheck check_folder(const std::string& folder) {
  FolderCheck check;
  std::string name = folder + "/.lockstep-doctor-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) {
    check.text = fmt::format("not writable ({})", std::strerror(errno));
    return check;
  }
  check.writable = true;
  check.locking = flock(file, LOCK_EX | LOCK_NB) == 0;
  check.text = check.locking ? "writable, locking works"
                             : fmt::format("writable, no locking ({})", std::strerror(errno));
  close(file);
  unlink(name.c_str());
  return check;
}

void add_folder(Report& report, const std::string& name, const std::string& key,
                std::filesystem::path folder) {
  // The cache folder may not exist yet: what counts is the file system on which it would be made.
  while (!std::filesystem::exists(folder) && folder.has_parent_path() && folder != folder.parent_path())
    folder = folder.parent_path();
  const std::string path = folder.string();
  struct statvfs info {};
  const bool known = statvfs(path.c_str(), &info) == 0;
  const int64_t free = known ? static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize) : 0;
  const FolderCheck check = check_folder(path);
  const std::string type = file_system_type(path);
  report.fact(name, fmt::format("{}: {}, {} free, {}", path, type, readable_bytes(free), check.text), key,
              {{"path", path},
               {"type", type},
               {"free_bytes", free},
               {"writable", check.writable},
               {"locking", check.locking}});
}

int run_doctor(const Program& program, bool json) {
  Report report;
  report.section("lockstep");
  report.fact("version", LOCKSTEP_VERSION, "version", LOCKSTEP_VERSION);
  report.fact("backends", kCuda ? "CPU and CUDA" : "CPU only", "cuda_build", kCuda);
  add_machine(report);
  add_libraries(report);
  add_gpus(report, find_devices());
  add_cluster(report, program.environment());
  report.section("folders");
  add_folder(report, "current", "current", std::filesystem::current_path());
  add_folder(report, "cache", "cache", program.environment().cache_folder);
  report.print(json);
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, Program& program) {
  CLI::App* command = app.add_subcommand("doctor", "Show what this machine offers to a run");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback(
      [&program, json] { program.action = [&program, json] { return run_doctor(program, *json); }; });
}

}  // namespace lockstep
