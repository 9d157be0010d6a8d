// Ends in the way its argument says; run by ctest, which looks at the exit code and the output.
#include <cstdio>
#include <string>

#include "comm/collectives/communicator.h"
#include "comm/collectives/world.h"
#include "src/core/error.h"

namespace lockstep {
namespace {

/// The second rank (the only one, when alone) fails; the others wait for it in a sum.
void fail_on_one_rank(World& world) {
  const auto communicator = make_communicator(world, Exec{}, {});
  const int failing = world.size() > 1 ? 1 : 0;
  if (world.rank() == failing) fail(ExitCode::data, "rank {} gives up", failing);
  std::vector<float> values(1000);
  communicator->start_all_reduce(Exec{}, values);
  communicator->wait(Exec{});
}

int report(const Error& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return static_cast<int>(e.code());
}

int run(const std::string& mode) {
  try {
    LauncherFacts facts;
    if (mode == "without-pmix") facts = {.slurm_tasks = 4, .slurm_rank = 2, .launcher = "srun"};
    if (mode == "wrong-size") facts = {.slurm_tasks = 3, .slurm_rank = 0, .launcher = "srun"};
    World world(facts);
    try {
      fail_on_one_rank(world);
    } catch (const Error& e) {
      if (mode == "throw") world.abort(report(e));
      throw;
    }
    return 0;
  } catch (const Error& e) {
    return report(e);
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) { return lockstep::run(argc > 1 ? argv[1] : "throw"); }
