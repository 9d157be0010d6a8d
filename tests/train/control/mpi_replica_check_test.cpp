#include "src/train/control/replica_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "src/core/error.h"
#include "src/ops/supported.h"
#include "tests/support/mpi_world.h"
#include "tests/train/control/flipping_communicator.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

class MpiReplicaCheck : public MpiBackendTest {
 protected:
  static constexpr int64_t kGlobalBatch = 16, kEverySteps = 3;

  std::unique_ptr<TinyRun> make_run(std::unique_ptr<Communicator> communicator, bool capture,
                                    int64_t every_steps = kEverySteps) {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, 2, 8 / world.size()},
                                     TinyOptions{.capture = capture, .fingerprint_steps = every_steps},
                                     std::move(communicator));
  }

  /// The rank that goes wrong in these tests.
  int faulty() const { return world.size() - 1; }

  /// Who the message must name: with two ranks nobody can say which of them is wrong.
  std::string accusation() const {
    return world.size() == 2 ? "differ from each other" : fmt::format("rank {} (", faulty());
  }

  /// Trains until a step says that the ranks differ, and returns what the check says then and that step's
  /// number.
  std::pair<std::string, int64_t> train_until_caught(TinyRun& run, int64_t most_steps) {
    for (int64_t step = 1; step <= most_steps; ++step) {
      const auto metrics = run.run(run.make_batch(step, kGlobalBatch).batch);
      if (!metrics || !metrics->ranks_agreed) continue;
      if (*metrics->ranks_agreed)
        run.replicas().agreed_after(metrics->step - 1);
      else
        return {failure_of([&] { run.replicas().fail_naming_rank(world, metrics->step - 1); }),
                metrics->step};
    }
    return {"nothing was noticed", 0};
  }

  template <typename Function>
  std::string failure_of(Function function) {
    try {
      function();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::lost);
      return error.what();
    }
    return "no error";
  }

  /// Flips a bit of a float in the backend's memory.
  void flip(float* value, int bit) {
    const std::span<float> place(value, 1);
    const float now = test::from_backend(exec(), place)[0];
    test::to_backend(exec(), place, {std::bit_cast<float>(std::bit_cast<uint32_t>(now) ^ (1u << bit))});
  }
};
INSTANTIATE_FOR_BACKENDS(MpiReplicaCheck);

TEST_P(MpiReplicaCheck, SoundRanksAgreeEveryTimeAndTrainTheSameAsUnwatchedOnes) {
  for (const bool reproducible : {false, true})
    for (const bool capture : {false, true}) {
      const auto run = make_run(make_communicator(world, exec(), {.reproducible = reproducible}), capture);
      const auto unwatched =
          make_run(make_communicator(world, exec(), {.reproducible = reproducible}), capture, 0);
      std::vector<int64_t> asked;
      const auto look_at = [&](const std::optional<StepMetrics>& metrics) {
        if (!metrics || !metrics->ranks_agreed) return;
        EXPECT_TRUE(*metrics->ranks_agreed) << metrics->step;
        asked.push_back(metrics->step);
      };
      for (int64_t step = 1; step <= 7; ++step) {
        const auto batch = run->make_batch(step, step == 6 ? 5 : kGlobalBatch);
        look_at(run->run(batch.batch));
        if (reproducible) unwatched->run(batch.batch);
      }
      look_at(run->flush());
      EXPECT_EQ(asked, (std::vector<int64_t>{3, 6}));
      run->replicas().check(world, 7);
      // The plain sum of four ranks may add in another order in each run.
      if (reproducible) {
        EXPECT_EQ(run->hash(), unwatched->hash());
      }
    }
}

TEST_P(MpiReplicaCheck, AFlippedGradientBitOfOneRankNamesItAndTheTensor) {
  if (world.size() == 1) GTEST_SKIP() << "one rank has nobody to differ from";
  // A capture would hide the sums from the communicator that flips the bit.
  for (const bool reproducible : {false, true}) {
    constexpr int64_t kFaultyStep = 4;
    auto communicator = std::make_unique<FlippingCommunicator>(
        make_communicator(world, exec(), {.reproducible = reproducible}),
        Flip{.rank = faulty(), .step = kFaultyStep, .from_end = 128 - 5, .bit = 22});
    const auto run = make_run(std::move(communicator), /*capture=*/false);
    const auto [message, step] = train_until_caught(*run, 20);
    EXPECT_EQ(step, 6) << "the first that looked after the fault";
    EXPECT_THAT(message, HasSubstr(accusation()));
    EXPECT_THAT(message, HasSubstr(" model/conv.weight and 1 more tensor"));
    EXPECT_THAT(message, HasSubstr("since one of the steps 3 to 5"));
  }
}

TEST_P(MpiReplicaCheck, AFlippedBitOfMemoryIsFoundInCapturedStepsToo) {
  if (world.size() == 1) GTEST_SKIP() << "one rank has nobody to differ from";
  const auto run = make_run(make_communicator(world, exec(), {}), /*capture=*/true);
  for (int64_t step = 1; step <= 4; ++step) run->run(run->make_batch(step, kGlobalBatch).batch);
  run->flush();
  run->replicas().agreed_after(4);
  if (world.rank() == faulty()) flip(run->parameters().state(0).data<float>() + 2, 20);
  EXPECT_THAT(failure_of([&] { run->replicas().check(world, 4); }), HasSubstr("state/norm."));
  const auto [message, step] = train_until_caught(*run, 4);
  EXPECT_EQ(step, 6);
  EXPECT_THAT(message, HasSubstr(accusation()));
  EXPECT_THAT(message, HasSubstr("since step 5"));
}

// With a sharded optimizer and a working copy, the fp32 weights differ between ranks, except for those that
// layers read. TinyRun even overwrites them.
TEST_P(MpiReplicaCheck, WhatLayersReadIsComparedWhereTheOptimizerIsSharded) {
  if (world.size() == 1) GTEST_SKIP() << "one rank has nobody to differ from";
  if (!why_unsupported(exec(), Precision::bf16).empty()) GTEST_SKIP() << "no bf16 on this CPU";
  TinyRun run(exec(), Batching{kGlobalBatch, 2, 8 / world.size()},
              {.fingerprint_steps = kEverySteps,
               .second_block = true,
               .optimizer = "adam",
               .sharded = true,
               .tuning = {{"conv2"}, {}},
               .precision = Precision::bf16},
              make_communicator(world, exec(), {}));
  std::vector<int64_t> asked;
  for (int64_t step = 1; step <= 7; ++step) {
    const auto metrics = run.run(run.make_batch(step, kGlobalBatch).batch);
    if (!metrics || !metrics->ranks_agreed) continue;
    EXPECT_TRUE(*metrics->ranks_agreed) << metrics->step;
    asked.push_back(metrics->step);
  }
  run.flush();
  EXPECT_EQ(asked, (std::vector<int64_t>{3, 6}));
  run.replicas().check(world, 7);

  const ParameterLayout& layout = run.parameters().layout();
  const auto number_of = [&](const std::string& name) {
    const auto slot = std::ranges::find(layout.parameters, name, &ParameterLayout::Slot::name);
    return static_cast<int>(slot - layout.parameters.begin());
  };
  const auto value_of = [&](const std::string& name, DType type) {
    return static_cast<float*>(run.parameters().parameter(number_of(name), type).raw()) + 1;
  };
  const auto expect_found = [&](const std::string& name, DType type, int bit) {
    float* const value = value_of(name, type);
    if (world.rank() == faulty()) flip(value, bit);
    EXPECT_THAT(failure_of([&] { run.replicas().check(world, 7); }), HasSubstr(" model/" + name + ","));
    if (world.rank() == faulty()) flip(value, bit);
    run.replicas().check(world, 7);
  };
  expect_found("conv.weight", DType::bf16, 3);
  expect_found("dense.weight", DType::bf16, 19);
  expect_found("norm.weight", DType::f32, 20);
  expect_found("dense.bias", DType::f32, 20);
  expect_found("conv2.weight", DType::f32, 20);

  // A step finds it too, but by the time the ranks know, that step has replaced the wrong value.
  run.run(run.make_batch(8, kGlobalBatch).batch);
  run.flush();
  if (world.rank() == faulty()) flip(value_of("conv.weight", DType::bf16), 3);
  const auto [message, step] = train_until_caught(run, 4);
  EXPECT_EQ(step, 9);
  EXPECT_THAT(message, HasSubstr("but hold the same one now"));
}

TEST_P(MpiReplicaCheck, ADifferenceThatIsGoneIsReportedAsWell) {
  if (world.size() == 1) GTEST_SKIP() << "one rank has nobody to differ from";
  const auto run = make_run(make_communicator(world, exec(), {}), /*capture=*/false);
  EXPECT_THAT(failure_of([&] { run->replicas().fail_naming_rank(world, 7); }),
              HasSubstr("after one of the steps 1 to 7, but hold the same one now"));
}

}  // namespace
}  // namespace lockstep
