#pragma once

#include <string>

namespace lockstep {

/// "Open MPI 4.1.4". May be called before MPI is initialized.
std::string mpi_library_version();
/// "2.28.9"; "" in a build without CUDA.
std::string nccl_library_version();

}  // namespace lockstep
