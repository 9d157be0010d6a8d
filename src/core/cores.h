#pragma once

#include <vector>

namespace lockstep {

/// The numbers of the CPU cores on which the calling thread may run, ascending: its affinity mask, as srun,
/// mpirun, taskset or a container may have restricted it.
std::vector<int> usable_cores();

}  // namespace lockstep
