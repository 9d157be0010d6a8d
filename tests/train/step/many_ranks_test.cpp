#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "src/core/error.h"
#include "tests/support/thread_communicator.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

using test::Fault;
using test::ThreadRanks;

constexpr int64_t kGlobalBatch = 32, kMicroBatch = 2;
constexpr int kMicroBatches = 16;

// Ranks that are threads: as many as no test machine has processes for.
class ManyRanks : public testing::Test {
 protected:
  // The last batch of an epoch is short: most ranks have padding alone.
  const std::vector<int64_t> valid_ = {32, 32, 5, 32, 1};

  /// By rank: the losses and the final weights' hash.
  struct Result {
    std::vector<double> losses;
    uint64_t hash = 0;
    bool operator==(const Result&) const = default;
  };
  Result train(std::unique_ptr<Communicator> communicator) {
    const Batching batching{kGlobalBatch, kMicroBatch, kMicroBatches / communicator->size()};
    TinyRun run(Exec{}, batching, {.clip_norm = 0.5}, std::move(communicator));
    Result result{run.train(valid_), 0};
    result.hash = run.hash();
    return result;
  }
  std::vector<Result> train(ThreadRanks& ranks, std::vector<std::exception_ptr>* thrown = nullptr) {
    std::vector<Result> results(static_cast<size_t>(ranks.size()));
    const auto work = [&](int rank, std::unique_ptr<Communicator> communicator) {
      results[static_cast<size_t>(rank)] = train(std::move(communicator));
    };
    if (thrown != nullptr)
      *thrown = ranks.run(work);
    else
      ranks.run_all(work);
    return results;
  }
};

TEST_F(ManyRanks, ReproducibleTrainingHasTheBitsOfOneRank) {
  const Result alone = train(make_self_communicator());
  for (const int size : {2, 8, 16}) {
    ThreadRanks ranks(size, {.reproducible = true});
    for (const Result& result : train(ranks)) EXPECT_EQ(result, alone) << size << " ranks";
  }
}

TEST_F(ManyRanks, ADelayChangesNoBit) {
  const Result alone = train(make_self_communicator());
  ThreadRanks ranks(
      16,
      {.reproducible = true,
       .faults = {{.kind = Fault::Kind::delay, .rank = 11, .at = 3, .delay = std::chrono::milliseconds(30)},
                  {.kind = Fault::Kind::delay, .rank = 2, .at = 5, .delay = std::chrono::milliseconds(20)}}});
  for (const Result& result : train(ranks)) EXPECT_EQ(result, alone);
}

TEST_F(ManyRanks, ADeathEndsEveryRank) {
  ThreadRanks ranks(16,
                    {.reproducible = true, .faults = {{.kind = Fault::Kind::death, .rank = 13, .at = 4}}});
  std::vector<std::exception_ptr> thrown;
  train(ranks, &thrown);
  for (const std::exception_ptr& each : thrown) {
    ASSERT_TRUE(each);
    try {
      std::rethrow_exception(each);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::lost) << error.what();
    }
  }
}

TEST_F(ManyRanks, ACorruptedSumLeavesOneRankWithOtherWeights) {
  // The first bucket holds the loss at its start; what follows are gradients.
  ThreadRanks ranks(
      16, {.reproducible = true,
           .faults = {{.kind = Fault::Kind::corruption, .rank = 6, .at = 1, .element = 3, .bit = 29}}});
  const std::vector<Result> results = train(ranks);
  for (size_t rank = 0; rank < results.size(); ++rank)
    EXPECT_EQ(results[rank].hash == results[0].hash, rank != 6) << "rank " << rank;
}

TEST_F(ManyRanks, AllKnowInTheSameStepWhetherTheyAgree) {
  using Agreed = std::vector<std::optional<bool>>;
  const auto agreements = [](const std::vector<Fault>& faults) {
    ThreadRanks ranks(16, {.reproducible = true, .faults = faults});
    std::vector<Agreed> results(16);
    ranks.run_all([&](int rank, std::unique_ptr<Communicator> communicator) {
      TinyRun run(Exec{}, {kGlobalBatch, kMicroBatch, 1}, {.fingerprint_steps = 2}, std::move(communicator));
      Agreed& agreed = results[static_cast<size_t>(rank)];
      for (int64_t step = 1; step <= 5; ++step)
        if (const auto metrics = run.run(run.make_batch(step, kGlobalBatch).batch))
          agreed.push_back(metrics->ranks_agreed);
    });
    return results;
  };
  EXPECT_THAT(agreements({}), testing::Each(Agreed{std::nullopt, true, std::nullopt, true}));
  EXPECT_THAT(agreements({{.kind = Fault::Kind::corruption, .rank = 6, .at = 1, .element = 3, .bit = 29}}),
              testing::Each(Agreed{std::nullopt, false, std::nullopt, false}));
}

}  // namespace
}  // namespace lockstep
