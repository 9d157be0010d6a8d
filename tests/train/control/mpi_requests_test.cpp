#include <gtest/gtest.h>

#include <vector>

#include "tests/support/mpi_world.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

class MpiRequests : public MpiBackendTest {
 protected:
  static constexpr int64_t kGlobalBatch = 16;

  /// What this rank learns of each of eight steps, when rank `asking` asks before some of them.
  std::vector<Requests> learn(TinyRun& run, int asking) {
    std::vector<Requests> learned;
    const auto collect = [&](const std::optional<StepMetrics>& metrics) {
      if (metrics) learned.push_back(metrics->requests);
    };
    for (int64_t step = 1; step <= 8; ++step) {
      Requests mine;
      if (world.rank() == asking) mine = {.stop = step == 6, .save = step == 3 || step == 6};
      // Everybody at once adds up to no more than "yes".
      if (step == 7) mine.save = true;
      collect(run.run(run.make_batch(step, kGlobalBatch).batch, mine));
    }
    collect(run.flush());
    return learned;
  }
};
INSTANTIATE_FOR_BACKENDS(MpiRequests);

TEST_P(MpiRequests, EveryRankLearnsAfterTheSameStepWhatOneAskedFor) {
  const Requests none, save{.save = true}, both{.stop = true, .save = true};
  const std::vector<Requests> expected = {none, none, save, none, none, both, save, none};
  for (const TinyOptions& options :
       {TinyOptions{.capture = true}, TinyOptions{.capture = false, .fingerprint_steps = 2},
        TinyOptions{.gradients = Wire::bf16}, TinyOptions{.sync_batch_norm = true},
        TinyOptions{.optimizer = "adam", .sharded = world.size() > 1}})
    for (const int asking : {0, world.size() - 1}) {
      TinyRun run(exec(), Batching{kGlobalBatch, 2, 8 / world.size()}, options,
                  make_communicator(world, exec(), {}));
      EXPECT_EQ(learn(run, asking), expected) << "rank " << asking;
    }
}

TEST_P(MpiRequests, AskingChangesNoWeight) {
  const auto make = [&] {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, 2, 8 / world.size()}, TinyOptions{},
                                     make_communicator(world, exec(), {.reproducible = true}));
  };
  const auto quiet = make(), asking = make();
  learn(*quiet, /*asking=*/-1);
  learn(*asking, 0);
  EXPECT_EQ(quiet->hash(), asking->hash());
}

}  // namespace
}  // namespace lockstep
