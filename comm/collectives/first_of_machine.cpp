#include "comm/collectives/first_of_machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "comm/collectives/mpi_check.h"
#include "comm/collectives/world.h"

namespace lockstep {

namespace {

constexpr size_t kBytes = 4096;

/// Maps the page of memory that rank 0 of `machine` creates; the others open it through that process's /proc
/// entry.
int open_shared(MPI_Comm machine) {
  int rank = 0;
  CHECK(MPI_Comm_rank(machine, &rank));
  int file = -1;
  if (rank == 0) {
    file = ::memfd_create("lockstep", MFD_CLOEXEC);
    if (file >= 0 && ::ftruncate(file, kBytes) != 0) {
      ::close(file);
      file = -1;
    }
  }
  std::array<int, 2> owner = {::getpid(), file};
  CHECK(MPI_Bcast(owner.data(), 2, MPI_INT, 0, machine));
  if (rank > 0 && owner[1] >= 0)
    file = ::open(fmt::format("/proc/{}/fd/{}", owner[0], owner[1]).c_str(), O_RDWR | O_CLOEXEC);
  CHECK(MPI_Barrier(machine));  // from here on rank 0 may close its descriptor
  return file;
}

}  // namespace

FirstOfMachine::FirstOfMachine(const World& world) {
  MPI_Comm machine = MPI_COMM_NULL;
  CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &machine));
  const int file = world.local_size() > 1 ? open_shared(machine) : -1;
  CHECK(MPI_Comm_free(&machine));
  if (file < 0) return;
  void* const page = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (page != MAP_FAILED) taken_ = static_cast<std::atomic<bool>*>(page);
}

FirstOfMachine::~FirstOfMachine() {
  if (taken_ != &own_) ::munmap(taken_, kBytes);
}

}  // namespace lockstep
