#include "src/train/step/sharding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/core/error.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/ops/supported.h"
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

// TinyRun overwrites the weights that may be out of date with NaN after each step.
TEST(Sharding, RanksThatGatherAWorkingCopyHaveTheBitsOfOne) {
  if (!why_unsupported({}, Precision::bf16).empty()) GTEST_SKIP() << "no bf16 on this CPU";
  for (const char* const optimizer : {"adam", "lamb"}) {
    const TinyOptions options{
        .clip_norm = 0.5, .second_block = true, .optimizer = optimizer, .precision = Precision::bf16};
    TinyRun alone({}, {32, 2, 16}, options);
    const std::vector<double> losses = alone.train(4, 30);
    for (const int size : {2, 8, 16}) {
      ThreadRanks ranks(size, {.reproducible = true});
      ranks.run_all([&](int, std::unique_ptr<Communicator> communicator) {
        TinyOptions sharded = options;
        sharded.sharded = true;
        TinyRun run({}, {32, 2, 16 / size}, sharded, std::move(communicator));
        EXPECT_EQ(run.train(4, 30), losses);
        EXPECT_FALSE(run.parameters().has_whole_weights());
        EXPECT_THROW(run.parameters().weights_hash(), Error);
        EXPECT_EQ(run.snapshot().storage, alone.snapshot().storage);
        EXPECT_EQ(run.hash(), alone.hash());
      });
    }
  }
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

/// With weights that layers read in fp32: those of the norms, and the last bias.
Graph graph_in(Precision precision) {
  Graph graph({100});
  graph.add("one", layers::linear({.outputs = 300}));
  graph.add("norm", layers::layer_norm({}));
  graph.add("two", layers::linear({.outputs = 200}));
  graph.add("norm2", layers::layer_norm({}));
  graph.add("three", layers::linear({.outputs = 5}));
  return rewrite(std::move(graph), {"none"}, precision);
}

TEST(Sharding, AnUpdateBringsWhatLayersReadAndGatheredWeightsAreWhole) {
  const Graph graph = graph_in(Precision::bf16);
  const ParameterLayout layout(graph);
  Parameters expected({}, graph);
  expected.initialize(7);
  for (const auto& [size, reproducible] :
       {std::pair{2, false}, {3, false}, {7, false}, {4, true}, {16, true}}) {
    ThreadRanks(size, {.reproducible = reproducible})
        .run_all([&](int, std::unique_ptr<Communicator> communicator) {
          Parameters parameters({}, graph);
          const Sharding sharding({}, *communicator, layout, 1 << 14);
          const std::span<float> weights = parameters.weights();
          const auto working_of = [](const Parameters& of) {
            return std::span(of.working_weights().data<bf16>(), of.weights().size());
          };
          std::ranges::fill(weights, NAN);
          for (const OptimizerShare::Range& range : sharding.optimizer_share().ranges)
            for (auto i = static_cast<size_t>(range.offset);
                 i < static_cast<size_t>(range.offset + range.size); ++i) {
              weights[i] = expected.weights()[i];
              working_of(parameters)[i] = working_of(expected)[i];
            }
          parameters.set_whole_weights(false);
          sharding.gather_update(parameters);
          EXPECT_TRUE(
              std::ranges::equal(std::as_bytes(working_of(parameters)), std::as_bytes(working_of(expected))));
          for (const ParameterLayout::Slot& slot : layout.parameters) {
            if (!slot.read_as_f32) continue;
            const Tensor own = parameters.parameter(static_cast<int>(&slot - layout.parameters.data()));
            EXPECT_EQ(test::from_backend({}, own),
                      test::from_backend(
                          {}, expected.parameter(static_cast<int>(&slot - layout.parameters.data()))))
                << slot.name;
          }
          EXPECT_THROW(parameters.weights_hash(), Error);
          sharding.gather_weights(parameters);
          EXPECT_EQ(parameters.weights_hash(), expected.weights_hash());
        });
  }
}

// A weight takes two bytes of a working copy, and four where a layer reads it in fp32.
TEST(Sharding, AWorkingCopyHalvesWhatAnUpdateSends) {
  for (const auto& [size, reproducible] : {std::pair{2, false}, {3, false}, {4, true}, {8, true}}) {
    int64_t packed = 0;
    const auto sent_in = [&](Precision precision) {
      const Graph graph = graph_in(precision);
      const ParameterLayout layout(graph);
      ThreadRanks ranks(size, {.reproducible = reproducible});
      ranks.run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
        const Parameters parameters({}, graph);
        const Sharding sharding({}, *communicator, layout, 1 << 14);
        sharding.gather_update(parameters);
        if (rank == 0) packed = static_cast<int64_t>(sharding.bytes()) / (kFlatBlock + 1) * kFlatBlock / 4;
        // The norms are in slices of few ranks, and parts are as long as the longest.
        const int64_t even = sharding_bytes(layout, size), bytes = static_cast<int64_t>(sharding.bytes());
        EXPECT_TRUE(even <= bytes && bytes <= even * size) << bytes << ", if even " << even;
      });
      return ranks.max_sent();
    };
    const int64_t whole = sent_in(Precision::fp32);
    EXPECT_EQ(packed, 0);
    const int64_t half = sent_in(Precision::bf16), of_f32 = packed * (size - 1) / size;
    EXPECT_GT(of_f32, 0);
    EXPECT_EQ(2 * (half - of_f32), whole) << size << " ranks";
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
