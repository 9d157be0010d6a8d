#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// Facts about this process from the launcher's environment, read by launch/process/environment (comm never
/// calls getenv).
struct LauncherFacts {
  int slurm_tasks = 0;           ///< SLURM_NTASKS of this step, 0 when not started by srun
  int slurm_rank = 0;            ///< SLURM_PROCID
  bool slurm_serves_mpi = true;  ///< false: srun started no process manager that informs MPI of the tasks
  bool lone_slurm_task =
      false;                 ///< the only task of an srun that did not inform MPI: treated as started by hand
  std::string launcher;      ///< "mpirun", "srun" or "" (started by hand)
  bool one_machine = false;  ///< the launcher says that all ranks run here: MPI then starts faster
};

/// All processes of this run. Construct one at the start of main(). The destructor calls MPI_Finalize, except
/// during stack unwinding: then the other ranks are elsewhere, and a process that exits without MPI_Finalize
/// ends the job. Its collectives are for small host data outside the hot path; gradients use a Communicator.
/// Every method is collective and blocks unless stated otherwise; all are called from the thread that created
/// the World.
class World {
 public:
  /// Initializes MPI (MPI_THREAD_MULTIPLE). Throws Error(usage) naming the srun flag to add if srun does not
  /// support MPI, if it started several tasks and MPI sees one, or if the two sizes disagree.
  explicit World(const LauncherFacts& facts);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Rank and number of ranks on this machine.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

  void barrier();
  /// Copies root's bytes to every rank.
  void broadcast(std::span<std::byte> bytes, int root = 0);
  std::string broadcast(const std::string& text, int root = 0);
  /// Elementwise all-reduce, in place. Exact if each element is nonzero on at most one rank.
  void sum(std::span<double> values);
  /// The MPI library's own all-reduce, in place: the baseline for a Communicator.
  void all_reduce(std::span<float> values);
  void max(std::span<double> values);
  void min(std::span<double> values);
  /// Whether `value` is true on any rank.
  bool any(bool value);
  /// The name of the machine on which a rank runs.
  std::string host_of(int rank);
  /// All-gathers a value: every rank's, in rank order.
  std::vector<uint64_t> gather(uint64_t value);
  /// Sends a message of any length to a rank, which calls receive(); may return before. Not collective.
  void send(std::span<const std::byte> message, int to);
  /// Waits for the next message of a rank. Not collective.
  std::vector<std::byte> receive(int from);
  /// The first rank whose value differs from rank 0's, if any.
  std::optional<int> find_different(uint64_t value);

  /// Ends every process of the job at once with this exit code. Not collective; never returns. Thread-safe.
  [[noreturn]] void abort(int exit_code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  int exceptions_at_start_ = 0;
};

/// Ends this process with the exit code after five seconds, even if it hangs by then. Returns at once.
void end_process_soon(int exit_code);

}  // namespace lockstep
