#include "comm/collectives/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "comm/collectives/mpi_check.h"
#include "comm/collectives/world.h"

namespace lockstep {

namespace {

/// Opens the memory that rank 0 of `machine` creates; the others open it through that process's /proc entry.
/// Returns -1 if this fails.
int open_shared(MPI_Comm machine, size_t bytes) {
  int rank = 0;
  CHECK(MPI_Comm_rank(machine, &rank));
  int file = -1;
  if (rank == 0) {
    file = ::memfd_create("lockstep", MFD_CLOEXEC);
    if (file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) != 0) {
      ::close(file);
      file = -1;
    }
  }
  std::array<int, 2> owner = {::getpid(), file};
  CHECK(MPI_Bcast(owner.data(), 2, MPI_INT, 0, machine));
  if (rank > 0 && owner[1] >= 0)
    file = ::open(fmt::format("/proc/{}/fd/{}", owner[0], owner[1]).c_str(), O_RDWR | O_CLOEXEC);
  return file;
}

}  // namespace

std::shared_ptr<std::byte[]> share_memory(const World& world, size_t bytes) {
  MPI_Comm machine = MPI_COMM_NULL;
  CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &machine));
  std::byte* memory = nullptr;
  if (world.local_size() > 1) {
    const int file = open_shared(machine, bytes);
    void* const mapped = file < 0 || bytes == 0
                             ? MAP_FAILED
                             : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int is_mapped = mapped == MAP_FAILED ? 0 : 1;
    // Rank 0 keeps its descriptor until all others have opened it.
    CHECK(MPI_Allreduce(MPI_IN_PLACE, &is_mapped, 1, MPI_INT, MPI_MIN, machine));
    if (file >= 0) ::close(file);
    if (is_mapped == 1)
      memory = static_cast<std::byte*>(mapped);
    else if (mapped != MAP_FAILED)
      ::munmap(mapped, bytes);
  }
  CHECK(MPI_Comm_free(&machine));
  if (memory == nullptr) return nullptr;
  return {memory, [bytes](std::byte* mapped) { ::munmap(mapped, bytes); }};
}

std::vector<int> ranks_of_machine(const World& world) {
  MPI_Comm machine = MPI_COMM_NULL;
  CHECK(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &machine));
  std::vector<int> ranks(static_cast<size_t>(world.local_size()));
  const int own = world.rank();
  CHECK(MPI_Allgather(&own, 1, MPI_INT, ranks.data(), 1, MPI_INT, machine));
  CHECK(MPI_Comm_free(&machine));
  return ranks;
}

}  // namespace lockstep
