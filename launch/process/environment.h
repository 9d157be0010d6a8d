#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "comm/collectives/world.h"

namespace lockstep {

/// What the environment says about this process. The only place of the program that reads environment
/// variables.
struct Environment {
  LauncherFacts launcher;
  /// The rank as the launcher's variables have it, before MPI is started; 0 when they say nothing.
  int rank_hint = 0;
  std::string launch_link;  ///< of the `lockstep launch` that started this rank; "": there is none
  std::string slurm_job;    ///< SLURM_JOB_ID; empty outside a job
  int slurm_nodes = 0;      ///< of the job
  /// When Slurm will end the job: SLURM_JOB_END_TIME, which Slurm sets after 22.05.
  std::optional<std::chrono::system_clock::time_point> slurm_job_end;
  /// Whether a person watches standard output on a terminal on which a line may be redrawn: not a pipe, not
  /// Slurm.
  bool interactive = false;
  std::string terminal;  ///< the path of that terminal; empty when there is none
  int columns = 0;       ///< $COLUMNS, which stands for the terminal's own; 0 when it is not set
  std::string
      cache_folder;  ///< $XDG_CACHE_HOME/lockstep, else ~/.cache/lockstep, else a folder in the system's /tmp
  /// The programs of Slurm that are on PATH decide whether this machine can submit jobs.
  bool has_sbatch = false;
};

Environment read_environment();

/// How wide the terminal is now: windows are resized. 80 when nothing says so.
int current_columns(const Environment& environment);

/// $HOME, else that of the user's account, else the folder for temporary files.
std::string home_folder();

/// What tells this machine from the others of the job: $NCCL_HOSTID, which NCCL goes by too, else the host
/// name.
std::string host_identity();

}  // namespace lockstep
