#pragma once

namespace lockstep {

/// The text of slurm/train.sbatch, embedded by the build.
extern const char* const kTrainSbatch;

}  // namespace lockstep
