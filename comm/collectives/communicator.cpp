#include "comm/collectives/communicator.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "comm/collectives/mpi_communicator.h"
#include "comm/collectives/world.h"
#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/device/elementwise.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "comm/collectives/nccl_communicator.h"
#include "comm/collectives/staged_communicator.h"
#endif

namespace lockstep {

namespace {

class SelfCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Slice slice_of(int, int64_t elements) const override { return {0, elements}; }
  void prepare(std::span<float>, int64_t) override {}
  void start(Exec, const Collective&) override {}
  void wait(Exec) override {}
};

/// Ranks per machine, if all have the same number and the ranks of each machine are consecutive.
int even_ranks_per_node(World& world) {
  const auto mine = static_cast<uint64_t>(world.local_size());
  for (const uint64_t other : world.gather(mine))
    if (other != mine)
      fail(ExitCode::usage,
           "comm.hierarchical needs the same number of ranks on every machine, and there are machines with "
           "{} and {}.",
           mine, other);
  if (world.any(world.rank() % world.local_size() != world.local_rank()))
    fail(ExitCode::usage,
         "comm.hierarchical needs the ranks of a machine to follow one another. Start them with --map-by "
         "slot (mpirun) or --distribution=block (srun).");
  return world.local_size();
}

/// Ranks per machine among which a reproducible sum is one exchange: 1 if machines differ in their number.
[[maybe_unused]] int ranks_per_tree_node(World& world) {
  const auto mine = static_cast<uint64_t>(world.local_size());
  const std::vector<uint64_t> all = world.gather(mine);
  const bool uneven = std::ranges::any_of(all, [&](uint64_t other) { return other != mine; });
  if (world.any(uneven || world.rank() % world.local_size() != world.local_rank())) return 1;
  return std::min(world.local_size(), kMaxTreeLeaves);
}

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::make_unique<SelfCommunicator>(); }

std::unique_ptr<Communicator> make_communicator(World& world, [[maybe_unused]] Exec exec,
                                                const CommunicatorOptions& options) {
  const int size = world.size();
  INVARIANT(!options.reproducible || (size & (size - 1)) == 0, "{} ranks are not a power of two", size);
  if (size == 1) return make_self_communicator();
  const PhaseScope waiting(Phase::wait);
  int ranks_per_node = options.hierarchical ? even_ranks_per_node(world) : 0;
  // Over MPI the tree takes no longer level by level: its messages are handled one by one.
  if (options.reproducible) ranks_per_node = 0;
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda() && options.transport == Transport::mpi)
    return make_staged_communicator(*exec.cuda, options.reproducible, ranks_per_node);
  if (exec.on_cuda())
    return make_nccl_communicator(world, *exec.cuda, options.reproducible,
                                  options.reproducible ? ranks_per_tree_node(world) : ranks_per_node);
#endif
  if (options.transport == Transport::nccl)
    fail(ExitCode::usage, "comm.transport = 'nccl' needs GPUs, and this run is on the CPU. Remove the key.");
  return make_mpi_communicator(
      {.reproducible = options.reproducible, .ranks_per_node = ranks_per_node, .background = true});
}

std::unique_ptr<Communicator> make_statistics_communicator(World& world, Exec exec) {
  if (exec.on_cuda()) return nullptr;
  if (world.size() == 1) return make_self_communicator();
  return make_mpi_communicator({});
}

}  // namespace lockstep
