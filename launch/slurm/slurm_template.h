#pragma once

namespace lockstep {

/// The text of slurm/train.sbatch, which the build puts into the program.
extern const char* const kTrainSbatch;

}  // namespace lockstep
