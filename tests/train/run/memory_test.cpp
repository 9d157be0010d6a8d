#include "src/train/run/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/device/buffer.h"
#include "tests/train/made_up_data.h"

namespace lockstep {
namespace {

MemoryForecast forecast(const TrainOptions& options, int ranks = 1, int64_t hidden = 8) {
  const ModelSpec mlp{.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{hidden}}}};
  return forecast_memory(Exec{}, build_model(mlp, {DType::f32, {4}}, {3}, 1), options, made_up_data(), ranks);
}

TEST(MemoryForecast, AllocatesNothing) {
  restart_buffer_peak();
  const int64_t before = buffer_bytes().total();
  EXPECT_GT(forecast({}).memory.total(), 10'000);
  EXPECT_EQ(peak_buffer_bytes().total(), before);
}

TEST(MemoryForecast, CountsTheWorkOfTraining) {
  constexpr int64_t kFirst = 2 * 4 * 8, kSecond = 2 * 8 * 3;
  TrainOptions options;
  EXPECT_EQ(forecast(options).training_flops, 2 * kFirst + 3 * kSecond) << "data needs no gradient";
  // The hidden layer lies inside what is recomputed, whose own output is kept.
  options.train.recompute = {"*"};
  EXPECT_EQ(forecast(options).training_flops, 3 * kFirst + 3 * kSecond);
  options.train.recompute = {"none"};
  options.optimizer.tuning.freeze = {"linear1"};
  EXPECT_EQ(forecast(options).training_flops, kFirst + 2 * kSecond) << "backward ends at the output";
}

TEST(MemoryForecast, FollowsTheOptions) {
  TrainOptions options;
  options.run.threads = 3;
  options.train.global_batch = 96;
  options.train.micro_batch = 8;
  const MemoryForecast three = forecast(options);
  EXPECT_EQ(three.batching.micro_batches, 12);
  EXPECT_EQ(three.memory.activations, 3 * three.training_arena);
  EXPECT_EQ(three.memory.samples, 96 * (4 * 4 + 4 + 8)) << "four floats, a class and an index each";
  EXPECT_EQ(three.memory.loader, three.memory.samples + 3 * 64 * (4 * 4 + 4 + 8));
  EXPECT_EQ(three.memory.staging, 0);

  options.run.threads = 1;
  const MemoryForecast one = forecast(options);
  EXPECT_EQ(one.memory.activations, one.training_arena);
  EXPECT_LT(one.memory.gradients, three.memory.gradients);
  EXPECT_EQ(one.memory.weights, three.memory.weights);

  const MemoryForecast of_four = forecast(options, 4);
  EXPECT_EQ(of_four.batching.micro_batches, 3);
  EXPECT_EQ(of_four.memory.samples, one.memory.samples / 4);
  EXPECT_EQ(of_four.memory.staging, int64_t{4} << 20) << "what measures the all-reduces";
  const MemoryForecast wide = forecast(options, 4, 4096);
  options.optimizer.sharded = true;
  EXPECT_NEAR(static_cast<double>(forecast(options, 4, 4096).memory.optimizer),
              static_cast<double>(wide.memory.optimizer) / 4, 8192)
      << "a quarter, and the sums of norms";

  options.train.micro_batch = 500;
  const MemoryForecast large = forecast(options);
  EXPECT_EQ(large.batching.micro_batch, 500);
  EXPECT_EQ(large.batching.micro_batches, 1);
}

TEST(TrainingMemory, IsDividedByWhereItLies) {
  TrainingMemory memory;
  int64_t next = 1;
  for (const MemoryPurpose& purpose : memory_purposes()) memory.*purpose.bytes = next *= 2;
  EXPECT_EQ(memory.total(), 2 * next - 2) << "every purpose counts once";
  EXPECT_EQ(memory.on(false).host, memory.total());
  EXPECT_EQ(memory.on(false).device, 0);
  EXPECT_EQ(memory.on(true).host, memory.staging + memory.loader + memory.snapshot);
  EXPECT_EQ(memory.on(true).total(), memory.total());
}

}  // namespace
}  // namespace lockstep
