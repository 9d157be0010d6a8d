#include "comm/communicator.h"

#include "comm/mpi_communicator.h"
#include "comm/world.h"
#include "src/core/error.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "comm/nccl_communicator.h"
#endif

namespace lockstep {

namespace {

class SelfCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void reserve(int64_t) override {}
  void start_sum(Exec, std::span<float>) override {}
  void wait(Exec) override {}
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::make_unique<SelfCommunicator>(); }

std::unique_ptr<Communicator> make_communicator(World& world, [[maybe_unused]] Exec exec, bool reproducible) {
  const int size = world.size();
  INVARIANT(!reproducible || (size & (size - 1)) == 0, "{} ranks are not a power of two", size);
  if (size == 1) return make_self_communicator();
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return make_nccl_communicator(world, *exec.cuda, reproducible);
#endif
  return make_mpi_communicator(reproducible);
}

}  // namespace lockstep
