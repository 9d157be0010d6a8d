#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// What the launcher's environment says about this process, read by launch/environment (comm never calls
/// getenv).
struct LauncherFacts {
  int slurm_tasks = 0;           ///< SLURM_NTASKS of this step, 0 when not started by srun
  int slurm_rank = 0;            ///< SLURM_PROCID
  bool slurm_serves_mpi = true;  ///< false: srun has started no process manager that tells MPI of the tasks
  bool lone_slurm_task = false;  ///< the only one of its srun, which has told MPI nothing: started by hand
  std::string launcher;          ///< "mpirun", "srun" or "" (started by hand)
  bool one_machine = false;      ///< the launcher says that all ranks run here: MPI then starts faster
};

/// All processes of this run. Construct one, first thing in main(); MPI_Finalize on destruction, unless an
/// exception is on its way out: then the other ranks are elsewhere, and a process that ends without
/// MPI_Finalize ends the job. Its collectives are for small host data outside the hot path; gradients go
/// through a Communicator. Every method is collective and blocks unless it says otherwise; all are called
/// from the thread that made the World.
class World {
 public:
  /// Initializes MPI (MPI_THREAD_MULTIPLE). Throws Error(usage) naming the srun flag to add when srun serves
  /// no MPI, when it started several tasks and MPI sees one, or when the two sizes disagree.
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
  /// Root's bytes on every rank.
  void broadcast(std::span<std::byte> bytes, int root = 0);
  std::string broadcast(const std::string& text, int root = 0);
  /// In place, elementwise. Exact when each element is nonzero on at most one rank.
  void sum(std::span<double> values);
  /// The sum, in place, as the MPI library does it by itself: what a Communicator is measured against.
  void all_reduce(std::span<float> values);
  void max(std::span<double> values);
  void min(std::span<double> values);
  /// Whether any rank says so.
  bool any(bool value);
  /// The name of the machine that a rank runs on.
  std::string host_of(int rank);
  /// Every rank's value, in rank order.
  std::vector<uint64_t> gather(uint64_t value);
  /// The first rank whose value is not that of rank 0, if there is one.
  std::optional<int> find_different(uint64_t value);

  /// Ends every process of the job at once with this exit code; not collective, never returns. May be called
  /// from any thread.
  [[noreturn]] void abort(int exit_code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  int exceptions_at_start_ = 0;
};

/// Ends this process with the exit code in five seconds, whatever else it hangs in until then. Returns at
/// once.
void end_process_soon(int exit_code);

}  // namespace lockstep
