#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>

#include "io/checkpoint_here.h"
#include "io/column.h"
#include "io/hdf5.h"
#include "io/hdf5/sources.h"
#include "io/inspect.h"
#include "io/probe.h"

// A sanitizer reserves terabytes of address space, which the limit would refuse.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_SANITIZED 1
#endif

namespace lockstep {

namespace {

constexpr rlim_t kMemoryLimit = rlim_t{2} << 30;

/// One line of the answer. Names out of a hostile file need not be UTF-8.
void answer(const nlohmann::json& line) {
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void limit_myself(rlim_t seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A launcher signals all processes of a rank, and what it means is for the one that waits for this one.
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) ::signal(signal, SIG_IGN);
  const rlimit no_core{0, 0}, cpu{seconds, seconds + 1};
  setrlimit(RLIMIT_CORE, &no_core);
  setrlimit(RLIMIT_CPU, &cpu);
#ifndef LOCKSTEP_SANITIZED
  // On top of the address space that the program and its libraries take to begin with.
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t limit = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + kMemoryLimit;
  const rlimit memory{limit, limit};
  setrlimit(RLIMIT_AS, &memory);
#endif
}

/// What open_dataset will do with a data set, short of reading all of it. Adds what to warn of.
void look_at(const hdf5::File& file, const std::string& name, std::vector<std::string>& warnings) {
  const hdf5::Dataset dataset = file.dataset(name, 0);
  for (std::string& warning : hdf5::require_sources(dataset, /*thorough=*/true).warnings)
    warnings.push_back(std::move(warning));
  require_rows_of_numbers(dataset);
  dataset.chunks();
  // Not a whole sample: one may be as large as the limit on memory.
  dataset.read_ends();
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

std::optional<int> run_probe(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "__probe") != 0) return std::nullopt;
  // lockstep __probe TASK SECONDS NAME_COUNT NAME... FILE...
  if (argc < 6) return static_cast<int>(ExitCode::usage);
  const std::string task = argv[2];
  limit_myself(static_cast<rlim_t>(std::strtoul(argv[3], nullptr, 10)));
  const int name_count = static_cast<int>(std::strtoul(argv[4], nullptr, 10));
  if (name_count < 0 || name_count > argc - 6) return static_cast<int>(ExitCode::usage);
  const std::vector<std::string> names(argv + 5, argv + 5 + name_count);
  const char* file = "";
  answer({{"probe", 1}});
  try {
    nlohmann::json result;
    std::vector<std::string> warnings;
    for (int i = 5 + name_count; i < argc; ++i) {
      // Printed first, so that the parent knows at which file this process died.
      answer({{"at", i - 5 - name_count}});
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
  // Not exit(): closing a hostile file is as dangerous as opening it, and the answer is out already.
  _exit(0);
}

}  // namespace lockstep
