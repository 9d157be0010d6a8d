#pragma once

#include <vector>

namespace lockstep {

/// The numbers of the CPU cores on which the calling thread may run, ascending: what srun, mpirun, taskset or
/// a container has left it of the machine's.
std::vector<int> usable_cores();

}  // namespace lockstep
