#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// The values of a Slurm job, for the block at the top of slurm/train.sbatch.
struct SlurmJob {
  std::string name, account, partition;  ///< the last two may be empty
  std::string time;                      ///< as --time of sbatch takes it
  int nodes = 1;
  int gpus_per_node = 0;  ///< 0: none
  int tasks_per_node = 1;
  int cpus_per_task = 1;
  std::string launcher = "srun";       ///< or mpirun
  std::string folder;                  ///< to which relative paths refer
  std::vector<std::string> program;    ///< run by every rank, with the options before its subcommand
  std::vector<std::string> arguments;  ///< of `lockstep train`
  std::string run;                     ///< empty: named after the job
  std::vector<std::string> setup;      ///< lines of shell, such as "module load openmpi"
  std::vector<std::string> options;    ///< more options of sbatch, such as "--qos=long"
};

/// The text of slurm/train.sbatch with the values of this job.
std::string sbatch_script(const SlurmJob& job);

/// The seconds of MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS, DAYS-HOURS:MINUTES or
/// DAYS-HOURS:MINUTES:SECONDS; throws Error(usage) for anything else, and for zero.
int64_t slurm_seconds(const std::string& time);

/// The text quoted as one word for a shell.
std::string shell_quoted(const std::string& text);

}  // namespace lockstep
