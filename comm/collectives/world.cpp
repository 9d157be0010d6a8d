#include "comm/collectives/world.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "comm/collectives/chunks.h"
#include "comm/collectives/mpi_check.h"
#include "src/core/activity.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
/// Asked by a sanitizer build at its end. Open MPI never frees some of what it allocates, partly in threads
/// of its own, so leaks are sought in processes that never started it.
extern "C" int __lsan_is_turned_off() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  return initialized;
}
#endif

namespace lockstep {

namespace {

/// Keeps Open MPI from preparing for what this job cannot meet, which is most of the time that it needs to
/// start. What the user has set stays.
void start_quickly(const LauncherFacts& facts) {
  const bool alone = facts.launcher.empty();
  // Open MPI takes a process with such a number for a rank that srun has started, and ends it.
  if (facts.lone_slurm_task) unsetenv("SLURM_STEP_ID");
  // Within a machine messages go through shared memory, so no network library need be probed: 0.2 s.
  if (alone || facts.one_machine) {
    setenv("OMPI_MCA_pml", "ob1", 0);
    // Open MPI 5 asks the kernel for its routes, finds none from an address to itself, and says so in a line
    // a rank.
    setenv("OMPI_MCA_reachable", "weighted", 0);
  }
  if (alone) {
    // The daemon that Open MPI would start for a process without a launcher serves MPI_Comm_spawn only: 0.1
    // s. Without it, every such process would use the same session folder, and one that ends would remove it
    // under one that starts; nothing here needs the folder.
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
  }
}

/// Why this cannot be the run that Slurm started; empty when all is well.
std::string launch_mistake(const LauncherFacts& facts, int size) {
  if (facts.slurm_tasks == 0 || facts.slurm_tasks == size) return {};
  if (size == 1)
    return fmt::format(
        "Slurm started {} tasks, but MPI sees each of them as rank 0 of 1. Start them with `srun --mpi=pmix` "
        "(`srun "
        "--mpi=list` shows what this cluster has), or with mpirun inside sbatch.",
        facts.slurm_tasks);
  return fmt::format(
      "Slurm started {} tasks, but MPI sees {} ranks. Start one process a rank: `srun --mpi=pmix "
      "--ntasks={}`, or "
      "mpirun inside sbatch, but not mpirun inside srun.",
      facts.slurm_tasks, size, facts.slurm_tasks);
}

void reduce_doubles(std::span<double> values, MPI_Op operation) {
  const PhaseScope waiting(Phase::wait);
  const auto n = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < chunk_count(n, kMostMpiElements); ++i)
    CHECK(MPI_Allreduce(MPI_IN_PLACE, values.data() + i * kMostMpiElements,
                        chunk_size(n, kMostMpiElements, i), MPI_DOUBLE, operation, MPI_COMM_WORLD));
}

}  // namespace

World::World(const LauncherFacts& facts) : exceptions_at_start_(std::uncaught_exceptions()) {
  // Open MPI would end the process in MPI_Init, with a page about how it was built.
  if (facts.slurm_tasks > 0 && !facts.slurm_serves_mpi)
    fail(ExitCode::usage,
         "srun has told MPI nothing of its tasks ({}): each would be rank 0 of 1. Start them with `srun "
         "--mpi=pmix` (`srun --mpi=list` shows what this cluster has), or with mpirun inside sbatch.",
         facts.slurm_tasks);
  start_quickly(facts);
  // The socket of a rank that is lost is then an error of an MPI call, which says so, and not the silent end
  // of this rank, too.
  std::signal(SIGPIPE, SIG_IGN);
  int provided = MPI_THREAD_SINGLE;
  CHECK(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  CHECK(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  CHECK(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  CHECK(MPI_Comm_size(MPI_COMM_WORLD, &size_));

  std::string mistake = launch_mistake(facts, size_);
  if (provided < MPI_THREAD_MULTIPLE)
    mistake =
        "this MPI library does not let several threads call it (MPI_THREAD_MULTIPLE). Use one that was built "
        "with "
        "thread support.";
  if (!mistake.empty()) {
    MPI_Finalize();
    throw Error(ExitCode::usage, mistake);
  }

  MPI_Comm machine = MPI_COMM_NULL;
  CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine));
  CHECK(MPI_Comm_rank(machine, &local_rank_));
  CHECK(MPI_Comm_size(machine, &local_size_));
  CHECK(MPI_Comm_free(&machine));
}

World::~World() {
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  MPI_Finalize();
}

void World::barrier() {
  const PhaseScope waiting(Phase::wait);
  CHECK(MPI_Barrier(MPI_COMM_WORLD));
}

void World::broadcast(std::span<std::byte> bytes, int root) {
  const PhaseScope waiting(Phase::wait);
  const auto n = static_cast<int64_t>(bytes.size());
  for (int64_t i = 0; i < chunk_count(n, kMostMpiElements); ++i)
    CHECK(MPI_Bcast(bytes.data() + i * kMostMpiElements, chunk_size(n, kMostMpiElements, i), MPI_BYTE, root,
                    MPI_COMM_WORLD));
}

std::string World::broadcast(const std::string& text, int root) {
  uint64_t length = text.size();
  broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  std::string result = rank_ == root ? text : std::string(length, '\0');
  broadcast(std::as_writable_bytes(std::span(result)), root);
  return result;
}

void World::sum(std::span<double> values) { reduce_doubles(values, MPI_SUM); }

void World::all_reduce(std::span<float> values) {
  const PhaseScope waiting(Phase::wait);
  const auto n = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < chunk_count(n, kMostMpiElements); ++i)
    CHECK(MPI_Allreduce(MPI_IN_PLACE, values.data() + i * kMostMpiElements,
                        chunk_size(n, kMostMpiElements, i), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD));
}

void World::max(std::span<double> values) { reduce_doubles(values, MPI_MAX); }

void World::min(std::span<double> values) { reduce_doubles(values, MPI_MIN); }

std::string World::host_of(int rank) {
  char name[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  CHECK(MPI_Get_processor_name(name, &length));
  return broadcast(std::string(name, static_cast<size_t>(length)), rank);
}

bool World::any(bool value) {
  const PhaseScope waiting(Phase::wait);
  int result = value ? 1 : 0;
  CHECK(MPI_Allreduce(MPI_IN_PLACE, &result, 1, MPI_INT, MPI_LOR, MPI_COMM_WORLD));
  return result != 0;
}

std::vector<uint64_t> World::gather(uint64_t value) {
  const PhaseScope waiting(Phase::wait);
  std::vector<uint64_t> values(static_cast<size_t>(size_));
  CHECK(MPI_Allgather(&value, 1, MPI_UINT64_T, values.data(), 1, MPI_UINT64_T, MPI_COMM_WORLD));
  return values;
}

std::optional<int> World::find_different(uint64_t value) {
  const std::vector<uint64_t> values = gather(value);
  for (size_t rank = 1; rank < values.size(); ++rank)
    if (values[rank] != values[0]) return static_cast<int>(rank);
  return std::nullopt;
}

void World::abort(int exit_code) {
  // What follows may wait for a terminal or for a launcher that is gone with the network.
  end_process_soon(exit_code);
  std::fflush(nullptr);
  // Alone, there is nobody to end, and MPI_Abort would add a paragraph to the one line that says what was
  // wrong.
  if (size_ > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

void end_process_soon(int exit_code) {
  // An alarm needs neither memory nor a thread, of which there may be none left.
  static std::atomic<int> code;
  code = exit_code;
  std::signal(SIGALRM, [](int) { std::_Exit(code); });
  ::alarm(5);
}

}  // namespace lockstep
