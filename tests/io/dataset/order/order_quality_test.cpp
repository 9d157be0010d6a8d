#include "io/dataset/order/order_quality.h"

#include <gtest/gtest.h>

#include "io/dataset/order/choose_order.h"
#include "tests/io/data_files.h"

namespace lockstep {
namespace {

TEST(OrderQuality, TellsSortedLabelsFromMixedOnes) {
  const TemporaryFolder folder;
  constexpr int64_t kSamples = 20000, kBatch = 50;
  std::vector<uint8_t> labels;
  for (int64_t i = 0; i < kSamples; ++i) labels.push_back(static_cast<uint8_t>(i * 10 / kSamples));
  put(folder / "sorted.h5", "/x", {kSamples, 4}, counting<float>(4 * kSamples), {{20, 4}, 1});
  put(folder / "sorted.h5", "/y", {kSamples}, labels);
  const auto data = open_dataset({{folder / "sorted.h5"}, "/x", "/y"}, {.memory_budget = 1, .probe = false});
  const auto quality = [&](Shuffle shuffle, int64_t window_bytes = 20 * 16) {
    return measure_order(choose_order(shuffle, *data, kBatch, window_bytes), *data, kBatch, 1);
  };

  const OrderQuality full = quality(Shuffle::full);
  EXPECT_NEAR(full.distance, 1, 0.03);
  EXPECT_NEAR(full.label_variance, 1, 0.05);
  const OrderQuality stored = quality(Shuffle::off);
  EXPECT_EQ(stored.distance, 0);
  // All of one class: (50 - 5)^2 / 5 + 9 * 5 instead of 9.
  EXPECT_NEAR(stored.label_variance, 50, 0.5);
  // Batches of two or three chunks.
  const OrderQuality chunk = quality(Shuffle::chunk);
  EXPECT_NEAR(chunk.distance, 1, 0.1);
  EXPECT_GT(chunk.label_variance, 14);
  EXPECT_LT(chunk.label_variance, 21);
  // One sample of each of 50 chunks.
  EXPECT_NEAR(quality(Shuffle::window, 50 * 20 * 16).label_variance, 1, 0.1);
}

TEST(OrderQuality, KnowsNothingOfLabelsWhereThereAreNone) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {100, 4}, counting<float>(400));
  const auto data = open_dataset({{folder / "a.h5"}, "/x", ""}, {.probe = false});
  const OrderQuality quality = measure_order({Order::Kind::full}, *data, 10, 1);
  EXPECT_EQ(quality.label_variance, 0);
  EXPECT_GT(quality.distance, 0.8);
}

}  // namespace
}  // namespace lockstep
