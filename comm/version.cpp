#include "comm/version.h"

#include <mpi.h>

#include <algorithm>

#ifdef LOCKSTEP_HAVE_CUDA
#include <nccl.h>
#endif

namespace lockstep {

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "unknown";
  // "Open MPI v4.1.4, package: Debian Open MPI, ..." and, from MPICH, several lines.
  std::string version(text, static_cast<size_t>(length));
  version.erase(std::min(version.find_first_of(",\n"), version.size()));
  if (const size_t v = version.find(" v"); v != std::string::npos) version.erase(v + 1, 1);
  return version;
}

std::string nccl_library_version() {
#ifdef LOCKSTEP_HAVE_CUDA
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "unknown";
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
#else
  return "";
#endif
}

}  // namespace lockstep
