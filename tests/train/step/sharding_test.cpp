#include "src/train/step/sharding.h"

#include <gtest/gtest.h>

#include "src/graph/layers/layers.h"
#include "tests/support/backend.h"
#include "tests/support/thread_communicator.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

using test::ThreadRanks;

TEST(Sharding, SixteenRanksHaveTheBitsOfOne) {
  const TinyOptions options{.clip_norm = 0.5, .optimizer = "lamb"};
  const Batching batching{32, 2, 16};
  TinyRun alone({}, batching, options);
  const std::vector<double> losses = alone.train(4, 30);
  ThreadRanks ranks(16, {.reproducible = true});
  ranks.run_all([&](int, std::unique_ptr<Communicator> communicator) {
    TinyOptions sharded = options;
    sharded.sharded = true;
    TinyRun run({}, {32, 2, 1}, sharded, std::move(communicator));
    EXPECT_EQ(run.train(4, 30), losses);
    EXPECT_EQ(run.hash(), alone.hash());
    EXPECT_EQ(run.snapshot().storage, alone.snapshot().storage);
  });
}

TEST(Sharding, ThreeRanksAgreeWithEachOther) {
  const Batching batching{12, 2, 2};
  std::vector<uint64_t> hashes(3);
  ThreadRanks(3, {}).run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
    TinyRun run({}, batching, {.clip_norm = 0.5, .optimizer = "lars", .sharded = true},
                std::move(communicator));
    run.train(4, 11);
    hashes[static_cast<size_t>(rank)] = run.hash();
  });
  EXPECT_EQ(hashes, std::vector(3, hashes[0]));
}

// What a large model needs: N ranks need an N-th each.
TEST(Sharding, MemoryFallsWithTheNumberOfRanks) {
  Graph graph({100});
  graph.add("one", layers::linear({.outputs = 300}));
  graph.add("two", layers::linear({.outputs = 200}));
  const ParameterLayout layout(graph);
  const OptimizerSpec spec{.name = "adam"};
  const auto whole = static_cast<double>(Optimizer({}, spec, layout.blocks).bytes());
  for (const bool reproducible : {false, true}) {
    for (const int ranks : {2, 4, 8}) {
      ThreadRanks(ranks, {.reproducible = reproducible})
          .run_all([&](int, std::unique_ptr<Communicator> communicator) {
            const Sharding sharding({}, *communicator, layout, 1 << 16);
            const Optimizer part({}, spec, layout.blocks, sharding.optimizer_share());
            const double share = static_cast<double>(part.bytes()) / whole;
            EXPECT_LT(share, 1.0 / ranks + 0.05);
          });
    }
  }
}

TEST(Sharding, AStateGoesOutAndComesBack) {
  Graph graph({7});
  graph.add("one", layers::linear({.outputs = 60}));
  graph.add("two", layers::linear({.outputs = 5}));
  const ParameterLayout layout(graph);
  const auto size = static_cast<size_t>(layout.weights_size);
  ThreadRanks(3, {}).run_all([&](int, std::unique_ptr<Communicator> communicator) {
    const Sharding sharding({}, *communicator, layout, 256);
    const std::vector<float> all = test::random_values(layout.weights_size, 1);
    int64_t own = 0;
    for (const OptimizerShare::Range& range : sharding.optimizer_share().ranges) own += range.size;
    std::vector<float> state(static_cast<size_t>(own)), gathered(size);
    sharding.take(all, state);
    sharding.gather(state, gathered);
    EXPECT_EQ(gathered, all);
  });
}

}  // namespace
}  // namespace lockstep
