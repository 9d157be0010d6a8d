#include "src/train/run/setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/ops/supported.h"
#include "src/train/run/memory.h"
#include "tests/support/mpi_world.h"
#include "tests/train/made_up_data.h"

namespace lockstep {
namespace {

class MpiSetup : public MpiBackendTest {
 protected:
  TrainOptions options() const {
    TrainOptions options;
    options.run.threads = 1;
    options.run.reproducible = true;
    options.train.global_batch = 16;
    options.train.micro_batch = 4;
    return options;
  }
  /// The weights after steps on one batch, the last of which are replayed.
  uint64_t train(const TrainOptions& options) {
    TrainingSetup setup(world, exec(), options, made_up_data(), small_mlp());
    const MadeUpBatch batch(exec(), setup.batching, world.rank());
    for (int64_t step = 1; step <= 5; ++step) setup.step.run(batch.batch(), step, options.optimizer.lr);
    EXPECT_TRUE(setup.step.flush()->is_finite);
    setup.gather_weights();
    return setup.parameters.weights_hash();
  }
};
INSTANTIATE_FOR_BACKENDS(MpiSetup);

TEST_P(MpiSetup, AStepOfAllRanksGivesTheWeightsOfOneRankAndOfAShardedOptimizer) {
  for (const Precision precision : kPrecisions) {
    if (!why_unsupported(exec(), precision).empty()) continue;
    TrainOptions whole = options();
    whole.run.precision = precision;
    TrainOptions sharded = whole;
    sharded.optimizer.sharded = true;
    const uint64_t weights = train(whole);
    EXPECT_EQ(weights, train(sharded)) << to_string(precision);
    EXPECT_FALSE(world.find_different(weights)) << to_string(precision);
  }
}

TEST_P(MpiSetup, TakesFromTheOptionsWhatTheNumberOfRanksAllows) {
  TrainOptions with = options();
  with.optimizer.sharded = true;
  TrainingSetup setup(world, exec(), with, made_up_data(), small_mlp());
  EXPECT_EQ(setup.batching.rank_batch() * world.size(), 16);
  EXPECT_EQ(static_cast<int>(setup.optimizer_bytes.size()), world.size());
  EXPECT_EQ(setup.sharding.has_value(), world.size() > 1);
  EXPECT_EQ(setup.shared_state().has_value(), world.size() > 1);
  EXPECT_EQ(setup.replica_check() != nullptr, world.size() > 1);
  with.comm.fingerprint_steps = 0;
  EXPECT_EQ(TrainingSetup(world, exec(), with, made_up_data(), small_mlp()).replica_check(), nullptr);
}

TEST_P(MpiSetup, RefusesKeysThatContradictEachOther) {
  TrainOptions wrong = options();
  wrong.train.sync_batch_norm = true;
  try {
    TrainingSetup(world, exec(), wrong, made_up_data(), small_mlp());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("run.reproducible = true cannot be combined with"));
  }
}

TEST_P(MpiSetup, EvaluatesWithTheModelAlone) {
  ModelSetup setup(world, exec(), options(), made_up_data(), small_mlp());
  EXPECT_EQ(setup.evaluation_batch, 16) << "the same for any number of ranks";
  EXPECT_EQ(setup.task.objective().outputs(), 3);
  EXPECT_EQ(setup.parameters.layout().parameter_count, 4 * 8 + 8 + 8 * 3 + 3);
}

TEST_P(MpiSetup, TakesTheMemoryThatIsForecast) {
  TrainOptions with = options();
  with.run.reproducible = false;
  with.train.global_batch = 16 * world.size();
  with.comm.bucket_bytes = 1 << 20;
  for (const auto& [sharded, precision] : {std::pair{false, Precision::fp32},
                                           {true, Precision::fp32},
                                           {false, Precision::bf16},
                                           {true, Precision::bf16}}) {
    if (!why_unsupported(exec(), precision).empty()) continue;
    with.optimizer.sharded = sharded;
    with.run.precision = precision;
    const BufferBytes before = buffer_bytes();
    const TrainingSetup setup(world, exec(), with, made_up_data(), small_mlp());
    const MemoryForecast forecast =
        forecast_memory(exec(), small_mlp()({DType::f32, {4}}, {3}), with, made_up_data(), world.size());
    EXPECT_EQ(forecast.batching.micro_batch, setup.batching.micro_batch);
    EXPECT_EQ(forecast.batching.micro_batches, setup.batching.micro_batches);
    EXPECT_EQ(static_cast<size_t>(forecast.memory.activations), setup.step.activation_bytes());
    EXPECT_EQ(static_cast<size_t>(forecast.memory.gradients), setup.step.gradient_bytes());
    if (!sharded) {  // of which no rank has exactly an even share
      EXPECT_EQ(static_cast<size_t>(forecast.memory.optimizer), setup.optimizer.bytes());
    }
    // Evaluation, the loader and the snapshot are not part of a setup.
    TrainingMemory expected = forecast.memory;
    expected.evaluation = expected.loader = expected.snapshot = 0;
    const BufferBytes planned = expected.on(exec().on_cuda()), now = buffer_bytes();
    const auto near = [](int64_t taken, int64_t forecast_bytes) {
      EXPECT_NEAR(static_cast<double>(taken), static_cast<double>(forecast_bytes),
                  0.05 * static_cast<double>(forecast_bytes) + 4096);
    };
    near(now.host - before.host, planned.host);
    near(now.device - before.device, planned.device);
  }
}

}  // namespace
}  // namespace lockstep
