#include "tests/support/emulator/nccl_operation.h"

#include <array>
#include <stdexcept>
#include <string>

namespace emulator::nccl {

namespace {

/// Throws what becomes the error of the runtime's next calls.
void check(Communicator& comm, int status) {
  if (status == MPI_SUCCESS) return;
  comm.failed = true;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  throw std::runtime_error("NCCL over MPI: " + std::string(text.data(), static_cast<size_t>(length)));
}

}  // namespace

void Operation::start(std::vector<MPI_Request>& requests) const {
  Communicator& c = *comm;
  requests.push_back(MPI_REQUEST_NULL);
  switch (kind) {
    case Kind::send:
      return check(c, MPI_Isend(source, count, mpi_type(), peer, 0, c.mpi, &requests.back()));
    case Kind::receive:
      return check(c, MPI_Irecv(destination, count, mpi_type(), peer, 0, c.mpi, &requests.back()));
    case Kind::all_reduce:
      return check(c, MPI_Iallreduce(source == destination ? MPI_IN_PLACE : source, destination, count,
                                     mpi_type(), MPI_SUM, c.mpi, &requests.back()));
  }
}

void Operation::finish(const MPI_Status& status) const {
  if (kind != Kind::receive) return;
  int received = 0;
  check(*comm, MPI_Get_count(&status, mpi_type(), &received));
  if (received != count)
    throw std::runtime_error("NCCL over MPI: rank " + std::to_string(peer) + " sent " +
                             std::to_string(received) + " elements where rank " + std::to_string(comm->rank) +
                             " receives " + std::to_string(count));
}

void run(const std::vector<Operation>& operations) {
  std::vector<MPI_Request> requests;
  for (const Operation& operation : operations) operation.start(requests);
  std::vector<MPI_Status> statuses(requests.size());
  check(*operations.front().comm,
        MPI_Waitall(static_cast<int>(requests.size()), requests.data(), statuses.data()));
  for (size_t i = 0; i < operations.size(); ++i) operations[i].finish(statuses[i]);
}

}  // namespace emulator::nccl
