#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>

#include "io/checkpoint/checkpoint_here.h"
#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/layouts/plain_rows.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/sources/sources.h"
#include "io/hdf5/walk.h"
#include "io/probe/inspect.h"
#include "io/probe/probe.h"
#include "src/core/text/json.h"

// A sanitizer reserves terabytes of address space, which the limit would not allow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_SANITIZED 1
#endif

namespace lockstep {

namespace {

constexpr rlim_t kMemoryLimit = rlim_t{2} << 30;
/// The largest chunk of HDF5, once as stored and twice on its way through the filters.
[[maybe_unused]] constexpr rlim_t kMaxMoreMemory = rlim_t{12} << 30;

/// The state of this process as a probe.
struct Child {
  bool is_probe = false;
  rlim_t seconds = 0;  ///< time limit without progress
  size_t file = 0;     ///< index of the current file
  std::chrono::steady_clock::time_point last_sign;
};

Child& child() {
  static Child the_child;
  return the_child;
}

/// Prints one line of the answer. Names in a malicious file need not be UTF-8.
void answer(const nlohmann::json& line) {
  const std::string text = to_text(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Limits the CPU time from now on to `seconds`.
void limit_computing(rlim_t seconds) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto so_far = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  const rlimit cpu{so_far + seconds + 1, RLIM_INFINITY};
  setrlimit(RLIMIT_CPU, &cpu);
}

void limit_myself(rlim_t seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A launcher signals all processes of a rank, but its signals are meant for the parent of this one.
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) ::signal(signal, SIG_IGN);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  limit_computing(seconds);
#ifndef LOCKSTEP_SANITIZED
  // In addition to the address space that the program and its libraries use initially.
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t limit = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kMemoryLimit;
  const rlimit memory{limit, limit + kMaxMoreMemory};
  setrlimit(RLIMIT_AS, &memory);
#endif
}

/// Does what open_dataset will do with a data set, except for reading all of it. Adds warnings.
void look_at_dataset(const hdf5::File& file, const std::string& name, std::vector<std::string>& warnings) {
  const hdf5::Dataset dataset = hdf5::open_to_walk(file, name);
  for (std::string& warning : hdf5::require_sources(dataset, /*thorough=*/true, /*decode=*/true).warnings)
    warnings.push_back(std::move(warning));
  if (dataset.extents().empty()) return;  // a sample in a data set of its own
  require_rows(dataset);
  hdf5::require_plausible_chunks(dataset);
  note_probe_progress();
  // A chunk that libhdf5 decodes may crash it, so each is decoded here first. For the others the first and
  // last element suffice; a whole sample may be as large as the memory limit.
  if (dataset.is_decoded_by_libhdf5())
    hdf5::decode_chunks(dataset);
  else if (dataset.holds_values())
    dataset.read_ends();
  note_probe_progress();
}

void read_all_names(const NamedValues& named) {
  constexpr int64_t kRows = 4096;
  const int64_t rows = named.values.extents()[0];
  for (int64_t row = 0; row < rows; row += kRows) {
    read_class_names(named, row, std::min(kRows, rows - row), [](int64_t, std::string_view) {});
    note_probe_progress();
  }
}

/// The same with the data sets that `name` means.
void look_at(const hdf5::File& file, const std::string& name, std::vector<std::string>& warnings) {
  const std::optional<NamedValues> named = find_named_values(file, name);
  // Strings in records are read by libhdf5, which trusts their lengths.
  if (named && !named->field.empty() && !named->values.holds_values()) read_all_names(*named);
  for (const std::string& data_set : named ? named->data_sets() : open_rows(file.path(), name)->data_sets())
    look_at_dataset(file, data_set, warnings);
}

nlohmann::json run_task(const std::string& task, const std::vector<std::string>& names,
                        const std::string& path, std::vector<std::string>& warnings) {
  if (task == "describe") return describe_here(path);
  if (task == "check") return check_here(path);
  if (task == "checkpoint") {
    check_checkpoint_here(path);
    return nlohmann::json::object();
  }
  const hdf5::File file = hdf5::File::open(path);
  for (const std::string& name : names) look_at(file, name, warnings);
  return {{"warnings", warnings}};
}

}  // namespace

void note_probe_progress() { note_probe_work(0, 0); }

void note_probe_work(int64_t done, int64_t all) {
  constexpr auto kInterval = std::chrono::milliseconds(200);
  if (!child().is_probe) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - child().last_sign < kInterval) return;
  child().last_sign = now;
  limit_computing(child().seconds);
  nlohmann::json line = {{"at", child().file}};
  if (all > 0) line.update({{"read", done}, {"of", all}});
  answer(line);
}

void allow_probe_memory(size_t bytes) {
#ifndef LOCKSTEP_SANITIZED
  rlimit memory{};
  if (!child().is_probe || getrlimit(RLIMIT_AS, &memory) != 0) return;
  memory.rlim_cur = std::min<rlim_t>(memory.rlim_cur + bytes, memory.rlim_max);
  setrlimit(RLIMIT_AS, &memory);
#else
  static_cast<void>(bytes);
#endif
}

std::optional<int> run_probe(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "__probe") != 0) return std::nullopt;
  // lockstep __probe TASK SECONDS NAME_COUNT NAME... FILE...
  if (argc < 6) return static_cast<int>(ExitCode::usage);
  const std::string task = argv[2];
  child().is_probe = true;
  child().seconds = static_cast<rlim_t>(std::strtoul(argv[3], nullptr, 10));
  limit_myself(child().seconds);
  const int name_count = static_cast<int>(std::strtoul(argv[4], nullptr, 10));
  if (name_count < 0 || name_count > argc - 6) return static_cast<int>(ExitCode::usage);
  const std::vector<std::string> names(argv + 5, argv + 5 + name_count);
  const char* file = "";
  answer({{"probe", 1}});
  try {
    nlohmann::json result;
    std::vector<std::string> warnings;
    for (int i = 5 + name_count; i < argc; ++i) {
      // Printed first, so that the parent knows which file this process was reading if it dies.
      child().file = static_cast<size_t>(i - 5 - name_count);
      answer({{"at", child().file}});
      file = argv[i];
      result = run_task(task, names, file, warnings);
    }
    answer({{"result", result}});
  } catch (const Error& e) {
    answer({{"error", e.what()}, {"code", static_cast<int>(e.code())}});
  } catch (const std::bad_alloc&) {
    answer({{"error",
             fmt::format("{}: looking at it took more than {} MiB of memory. The file is damaged or hostile: "
                         "recreate it, or check where it came from.",
                         file, kMemoryLimit >> 20)},
            {"code", static_cast<int>(ExitCode::data)}});
  } catch (const std::exception& e) {
    answer({{"error", e.what()}, {"code", static_cast<int>(ExitCode::bug)}});
  }
  // Not exit(): closing a malicious file is as dangerous as opening it, and the answer has been printed.
  _exit(0);
}

}  // namespace lockstep
