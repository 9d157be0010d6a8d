#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "comm/collectives/world.h"

namespace lockstep {

/// The environment of this process. No other part of the program reads environment variables, except for
/// libhdf5's own.
struct Environment {
  LauncherFacts launcher;
  /// The rank according to the launcher's variables, before MPI is initialized; 0 if they are not set.
  int rank_hint = 0;
  std::string launch_link;  ///< of the `lockstep launch` that started this rank; "" if none did
  std::string slurm_job;    ///< SLURM_JOB_ID; "" outside a job
  int slurm_nodes = 0;      ///< of the job
  /// When Slurm will end the job: SLURM_JOB_END_TIME, set by Slurm versions after 22.05.
  std::optional<std::chrono::system_clock::time_point> slurm_job_end;
  /// Whether standard output is a terminal on which a line may be redrawn: not a pipe, not under Slurm.
  bool interactive = false;
  std::string terminal;  ///< the path of that terminal; "" if there is none
  int columns = 0;       ///< $COLUMNS, which overrides the terminal's width; 0 if it is not set
  std::string
      cache_folder;  ///< $XDG_CACHE_HOME/lockstep, else ~/.cache/lockstep, else a folder in the system's /tmp
  /// Whether sbatch is on PATH, so that this machine can submit jobs.
  bool has_sbatch = false;
};

Environment read_environment();

/// The current width of the terminal, which may be resized; 80 if unknown.
int current_columns(const Environment& environment);

/// $HOME, else the home folder of the user's account, else the folder for temporary files.
std::string home_folder();

/// Identifies this machine among those of the job: $NCCL_HOSTID, which NCCL uses too, else the host name.
std::string host_identity();

}  // namespace lockstep
