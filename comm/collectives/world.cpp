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
/// Called by sanitizer builds at exit. Open MPI never frees some of its memory, partly allocated in its own
/// threads, so leaks are checked only in processes that never started it.
extern "C" int __lsan_is_turned_off() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  return initialized;
}
#endif

namespace lockstep {

namespace {

/// Keeps Open MPI from initializing features that this job cannot use, which takes most of its startup time.
/// Variables set by the user are kept.
void start_quickly(const LauncherFacts& facts) {
  const bool alone = facts.launcher.empty();
  // With this variable, Open MPI takes the process for a rank started by srun, and ends it.
  if (facts.lone_slurm_task) unsetenv("SLURM_STEP_ID");
  // Within a machine messages use shared memory, so network libraries need not be probed, which saves 0.2 s.
  if (alone || facts.one_machine) {
    setenv("OMPI_MCA_pml", "ob1", 0);
    // Open MPI 5 asks the kernel for its routes, finds none from an address to itself, and prints a line per
    // rank.
    setenv("OMPI_MCA_reachable", "weighted", 0);
  }
  if (alone) {
    // For a process without a launcher, Open MPI would start a daemon, which takes 0.1 s and serves only
    // MPI_Comm_spawn. Without the daemon all such processes would share a session folder, which one that ends
    // would remove while another starts; nothing here needs the folder.
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
  }
}

/// Why the ranks cannot be those that Slurm was to start; empty if there is no problem.
std::string launch_mistake(const LauncherFacts& facts, int size) {
  if (facts.slurm_tasks == 0 || facts.slurm_tasks == size) return {};
  if (size == 1)
    return fmt::format(
        "Slurm started {} tasks, but MPI sees each of them as rank 0 of 1. Start them with `srun --mpi=pmix` "
        "(`srun "
        "--mpi=list` shows what this cluster has), or with mpirun inside sbatch.",
        facts.slurm_tasks);
  return fmt::format(
      "Slurm started {} tasks, but MPI sees {} ranks. Start one process per rank: `srun --mpi=pmix "
      "--ntasks={}`, or "
      "mpirun inside sbatch, but not mpirun inside srun.",
      facts.slurm_tasks, size, facts.slurm_tasks);
}

constexpr int kMessageTag = 0x6c73;  // of send() and receive()

void reduce_doubles(std::span<double> values, MPI_Op operation) {
  const PhaseScope waiting(Phase::wait);
  const auto n = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < chunk_count(n, kMaxMpiElements); ++i)
    CHECK(MPI_Allreduce(MPI_IN_PLACE, values.data() + i * kMaxMpiElements, chunk_size(n, kMaxMpiElements, i),
                        MPI_DOUBLE, operation, MPI_COMM_WORLD));
}

}  // namespace

World::World(const LauncherFacts& facts) : exceptions_at_start_(std::uncaught_exceptions()) {
  // Otherwise Open MPI would end the process in MPI_Init with a page about how it was built.
  if (facts.slurm_tasks > 0 && !facts.slurm_serves_mpi)
    fail(ExitCode::usage,
         "srun did not inform MPI of its {} tasks: each would be rank 0 of 1. Start them with `srun "
         "--mpi=pmix` (`srun --mpi=list` shows what this cluster has), or with mpirun inside sbatch.",
         facts.slurm_tasks);
  start_quickly(facts);
  // Writing to the socket of a lost rank then fails in an MPI call, which is reported, instead of silently
  // killing this rank too.
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
  for (int64_t i = 0; i < chunk_count(n, kMaxMpiElements); ++i)
    CHECK(MPI_Bcast(bytes.data() + i * kMaxMpiElements, chunk_size(n, kMaxMpiElements, i), MPI_BYTE, root,
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
  for (int64_t i = 0; i < chunk_count(n, kMaxMpiElements); ++i)
    CHECK(MPI_Allreduce(MPI_IN_PLACE, values.data() + i * kMaxMpiElements, chunk_size(n, kMaxMpiElements, i),
                        MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD));
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

void World::send(std::span<const std::byte> message, int to) {
  const PhaseScope waiting(Phase::wait);
  const auto n = static_cast<int64_t>(message.size());
  CHECK(MPI_Send(&n, 1, MPI_INT64_T, to, kMessageTag, MPI_COMM_WORLD));
  for (int64_t i = 0; i < chunk_count(n, kMaxMpiElements); ++i)
    CHECK(MPI_Send(message.data() + i * kMaxMpiElements, chunk_size(n, kMaxMpiElements, i), MPI_BYTE, to,
                   kMessageTag, MPI_COMM_WORLD));
}

std::vector<std::byte> World::receive(int from) {
  const PhaseScope waiting(Phase::wait);
  int64_t n = 0;
  CHECK(MPI_Recv(&n, 1, MPI_INT64_T, from, kMessageTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  std::vector<std::byte> message(static_cast<size_t>(n));
  for (int64_t i = 0; i < chunk_count(n, kMaxMpiElements); ++i)
    CHECK(MPI_Recv(message.data() + i * kMaxMpiElements, chunk_size(n, kMaxMpiElements, i), MPI_BYTE, from,
                   kMessageTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  return message;
}

std::optional<int> World::find_different(uint64_t value) {
  const std::vector<uint64_t> values = gather(value);
  for (size_t rank = 1; rank < values.size(); ++rank)
    if (values[rank] != values[0]) return static_cast<int>(rank);
  return std::nullopt;
}

void World::abort(int exit_code) {
  // The calls below may block on a terminal or on a launcher that was lost with the network.
  end_process_soon(exit_code);
  std::fflush(nullptr);
  // A single rank has no others to end, and MPI_Abort would add a paragraph to the one-line error message.
  if (size_ > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

void end_process_soon(int exit_code) {
  // An alarm needs neither memory nor a thread, which may be exhausted.
  static std::atomic<int> code;
  code = exit_code;
  std::signal(SIGALRM, [](int) { std::_Exit(code); });
  ::alarm(5);
}

}  // namespace lockstep
