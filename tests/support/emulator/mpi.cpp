// MPI's calls of comm/collectives/mpi_transport.h, refused in a host function: an MPI library that knows CUDA
// may call it there, which waits for ever. The linker takes these for MPI's own, whose other name is PMPI.
#include <mpi.h>

#include <cstdio>

#include "tests/support/emulator/stream.h"

namespace emulator {

namespace {

thread_local bool runs_host_function = false;

bool refused(const char* call) {
  if (!runs_host_function) return false;
  std::fprintf(stderr, "emulated CUDA: %s in a host function\n", call);
  return true;
}

}  // namespace

HostFunctionScope::HostFunctionScope() { runs_host_function = true; }
HostFunctionScope::~HostFunctionScope() { runs_host_function = false; }

}  // namespace emulator

int MPI_Allreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op operation,
                  MPI_Comm communicator) {
  if (emulator::refused("MPI_Allreduce")) return MPI_ERR_OTHER;
  return PMPI_Allreduce(send, receive, count, type, operation, communicator);
}

int MPI_Sendrecv(const void* send, int send_count, MPI_Datatype send_type, int to, int send_tag,
                 void* receive, int receive_count, MPI_Datatype receive_type, int from, int receive_tag,
                 MPI_Comm communicator, MPI_Status* status) {
  if (emulator::refused("MPI_Sendrecv")) return MPI_ERR_OTHER;
  return PMPI_Sendrecv(send, send_count, send_type, to, send_tag, receive, receive_count, receive_type, from,
                       receive_tag, communicator, status);
}
