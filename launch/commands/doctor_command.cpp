#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "comm/version.h"
#include "io/version.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/device_names.h"
#include "launch/process/child_process.h"
#include "launch/process/host.h"
#include "launch/report/report.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/device/compatibility.h"
#include "src/device/device.h"
#include "src/device/devices.h"
#include "src/device/with_cuda.h"
#include "src/ops/version.h"

namespace lockstep {

namespace {

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
  const size_t usable = usable_cores().size();
  report.fact("cores", fmt::format("{} usable of {}", usable, cores), "cores",
              {{"usable", usable}, {"online", cores}});
  const auto names = vector_instructions();
  report.fact("instructions", names.empty() ? "none that matter" : fmt::format("{}", fmt::join(names, ", ")),
              "instructions", names);
  const int64_t total = host_memory("MemTotal"), free = host_memory("MemAvailable");
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
        std::tuple{"HDF5 chunks", "hdf5_chunks", chunk_decoder_versions()},
        std::tuple{"oneDNN", "onednn", onednn_library_version()}})
    report.fact(name, version, key, version);
}

/// Tests the GPU by creating its streams and library handles. Returns its free memory; on failure adds a
/// problem and returns -1.
int64_t free_bytes(const GpuInfo& gpu, std::vector<std::string>& problems) {
  try {
    const Device device(gpu.index);
    return gpu.memory_bytes - used_device_bytes(device.exec());
  } catch (const Error& error) {
    problems.push_back(fmt::format("GPU {} ({}) cannot be used: {}", gpu.index, gpu.name, error.what()));
    return -1;
  }
}

/// Returns the problems that keep this machine from training on its GPUs.
std::vector<std::string> add_gpus(Report& report, const DeviceReport& devices, bool required) {
  report.section("gpu");
  std::vector<std::string> problems = gpu_problems(devices, required);
  if constexpr (kCuda) {
    const std::string runtime = dotted(devices.runtime_version);
    report.fact("CUDA", fmt::format("{} in this build", runtime), "cuda_runtime", runtime);
    const std::string release = driver_release();
    const std::string driver = devices.driver_version == 0 ? "none" : dotted(devices.driver_version);
    report.fact("driver",
                devices.driver_version == 0
                    ? driver
                    : fmt::format("{}, supports CUDA {}", release.empty() ? "unknown" : release, driver),
                "cuda_driver", driver);
    report.value("driver_release", release.empty() ? Json() : Json(release));
    const auto library = [&](const char* name, const char* key, int64_t version) {
      report.fact(name, version == 0 ? "missing" : dotted_version(version), key, dotted_version(version));
    };
    library("cuDNN", "cudnn", devices.cudnn_version);
    library("cuBLAS", "cublas", devices.cublas_version);
    report.fact("NCCL", nccl_library_version(), "nccl", nccl_library_version());
  }
  Json list = Json::array();
  for (const GpuInfo& gpu : devices.gpus) {
    const bool has_code = has_code_for(devices.architectures, gpu.compute_major, gpu.compute_minor);
    const int64_t free = devices.missing.empty() ? free_bytes(gpu, problems) : -1;
    const std::string compute = fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor);
    report.line(
        fmt::format("GPU {}", gpu.index),
        fmt::format("{}, {}{}, compute {}, {} code in this build", gpu.name, readable_bytes(gpu.memory_bytes),
                    free < 0 ? "" : fmt::format(" ({} free)", readable_bytes(free)), compute,
                    has_code ? "with" : "no"));
    list.push_back({{"index", gpu.index},
                    {"name", gpu.name},
                    {"compute", compute},
                    {"has_code", has_code},
                    {"memory_bytes", gpu.memory_bytes},
                    {"free_bytes", free < 0 ? Json() : Json(free)},
                    {"bus_id", gpu.bus_id}});
  }
  report.value("devices", list);
  if (devices.gpus.empty()) {
    report.fact("GPUs", fmt::format("none: {}", devices.reason), "reason", devices.reason);
    report.line("so", "training runs on the CPU");
  }
  for (const std::string& problem : problems) report.line("problem", problem);
  report.value("problems", problems);
  return problems;
}

/// The output of `srun --mpi=list`, the ways to start MPI on this cluster; empty if srun does not answer.
std::vector<std::string> srun_plugins() {
  // Without a configuration srun searches the network for one, until the name server answers.
  const ChildResult result = run_child({"timeout", "5", "srun", "--mpi=list"});
  std::vector<std::string> names;
  if (result.exit_code != 0) return names;
  std::istringstream lines(result.out + "\n" + result.err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with('\t')) names.push_back(line.substr(1));
  return names;
}

void add_srun(Report& report) {
  const std::vector<std::string> plugins = srun_plugins();
  const bool pmix = std::any_of(plugins.begin(), plugins.end(),
                                [](const std::string& name) { return name.starts_with("pmix"); });
  report.fact("srun",
              plugins.empty() ? "does not reach a cluster"
              : pmix ? fmt::format("can start ranks (--mpi=pmix); offers {}", fmt::join(plugins, ", "))
                     : fmt::format("cannot start ranks: offers {}, and no pmix; use mpirun inside sbatch",
                                   fmt::join(plugins, ", ")),
              "srun_mpi", plugins);
}

void add_cluster(Report& report, const Environment& environment) {
  report.section("cluster");
  const std::string& launcher = environment.launcher.launcher;
  report.fact("started by", launcher.empty() ? "hand" : launcher, "launcher", launcher);
  report.fact("Slurm",
              !environment.slurm_job.empty() ? fmt::format("inside job {} on {}", environment.slurm_job,
                                                           counted(environment.slurm_nodes, "node"))
              : environment.has_sbatch       ? "sbatch found; not inside a job"
                                             : "no sbatch on PATH",
              "slurm",
              {{"sbatch", environment.has_sbatch},
               {"job", environment.slurm_job.empty() ? Json() : Json(environment.slurm_job)}});
  if (environment.has_sbatch) add_srun(report);
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

/// Whether a file can be created in the folder and locked, as HDF5 does; in words, with the reason if not.
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
  // The cache folder may not exist yet: check the file system on which it would be created.
  std::error_code status;  // an inaccessible folder counts as missing
  while (!std::filesystem::exists(folder, status) && folder.has_parent_path() &&
         folder != folder.parent_path())
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

struct DoctorArguments {
  std::string config, device;
  bool json = false;
};

int run_doctor(const Program& program, const DoctorArguments& arguments) {
  DeviceChoice device = DeviceChoice::automatic;
  if (!arguments.device.empty())
    device = device_named(arguments.device);
  else if (!arguments.config.empty())
    device = load_config(arguments.config, {}).run.device;
  Report report;
  report.section("lockstep");
  report.fact("version", LOCKSTEP_VERSION, "version", LOCKSTEP_VERSION);
  report.fact("backends", kCuda ? "CPU and CUDA" : "CPU only", "cuda_build", kCuda);
  add_machine(report);
  add_libraries(report);
  const std::vector<std::string> problems = add_gpus(report, find_devices(), device == DeviceChoice::cuda);
  add_cluster(report, program.environment());
  report.section("folders");
  add_folder(report, "current", "current", std::filesystem::current_path());
  add_folder(report, "cache", "cache", program.environment().cache_folder);
  report.print(arguments.json);
  if (!problems.empty() && device != DeviceChoice::cpu)
    fail(ExitCode::usage, "this machine cannot train on a GPU: {}", fmt::join(problems, "; "));
  return 0;
}

}  // namespace

void add_doctor_command(Command app, Program& program) {
  Command command = app.add_command("doctor", "Show what this machine offers to a run");
  auto arguments = std::make_shared<DoctorArguments>();
  command.add("CONFIG", arguments->config, "TOML file, whose run.device is checked");
  command.add_device(arguments->device, "auto, cpu or cuda; cuda fails without a GPU");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.action(program, [&program, arguments] { return run_doctor(program, *arguments); });
}

}  // namespace lockstep
