#include "io/dataset/order/choose_order.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

constexpr int64_t kWindow = 1 << 20;

/// Samples of 4 KiB, compressed in chunks of `chunk`; streamed if the budget is small.
std::shared_ptr<const Dataset> compressed(const TemporaryFolder& folder, int64_t samples, int64_t chunk,
                                          int64_t budget = 1 << 16) {
  const std::string path = folder / fmt::format("{}-{}.h5", samples, chunk);
  if (!std::filesystem::exists(path))
    put(path, "/x", {samples, 1024}, counting<float>(samples * 1024, 1000), {{chunk, 1024}, 1});
  return open_dataset({{path}, "/x", ""}, {.memory_budget = budget, .probe = false});
}

TEST(ChooseOrder, IsAFullShuffleWhereThatReadsLittleMore) {
  const TemporaryFolder folder;
  const auto in_memory = compressed(folder, 1000, 16, 1 << 24);
  ASSERT_TRUE(in_memory->in_memory());
  EXPECT_EQ(choose_order(Shuffle::automatic, *in_memory, 32, kWindow).kind, Order::Kind::full);
  put(folder / "contiguous.h5", "/x", {1000, 1024}, counting<float>(1000 * 1024));
  const auto contiguous =
      open_dataset({{folder / "contiguous.h5"}, "/x", ""}, {.memory_budget = 1, .probe = false});
  ASSERT_FALSE(contiguous->in_memory());
  EXPECT_EQ(choose_order(Shuffle::automatic, *contiguous, 32, kWindow).kind, Order::Kind::full);
  EXPECT_EQ(describe_order(choose_order(Shuffle::automatic, *contiguous, 32, kWindow), *contiguous),
            "a full shuffle each epoch");
}

TEST(ChooseOrder, MixesAsManyChunksAsFitWhereAFullShuffleDecodesMuchMore) {
  const TemporaryFolder folder;
  const auto data = compressed(folder, 4096, 16);
  const Order order = choose_order(Shuffle::automatic, *data, 32, kWindow);
  EXPECT_EQ(order.kind, Order::Kind::windows);
  EXPECT_EQ(order.windows, (WindowShape{16, 16, 1}));
  EXPECT_EQ(order.parts, std::vector<int64_t>{4096});
  EXPECT_EQ(describe_order(order, *data),
            "shuffled in windows: 16 runs of 16 stored samples, 6.2 % of the data, are mixed at a time; "
            "each is read once");
  EXPECT_GT(read_amplification(choose_order(Shuffle::full, *data, 32, kWindow), *data), 10);
  // Lanes divide the batch.
  EXPECT_EQ(choose_order(Shuffle::automatic, *data, 30, kWindow).windows, (WindowShape{15, 16, 1}));
  EXPECT_EQ(choose_order(Shuffle::automatic, *data, 7, kWindow).windows, (WindowShape{7, 16, 2}));
  // One run if no more fit.
  EXPECT_EQ(choose_order(Shuffle::automatic, *data, 32, 1).windows, (WindowShape{1, 16, 1}));
  EXPECT_EQ(choose_order(Shuffle::chunk, *data, 32, kWindow).windows, (WindowShape{1, 16, 1}));
  EXPECT_EQ(choose_order(Shuffle::local, *data, 32, kWindow).windows, (WindowShape{16, 16, 1, true}));
  EXPECT_THAT(describe_order(choose_order(Shuffle::local, *data, 32, kWindow), *data),
              testing::EndsWith("; each of 16 parts of a batch has its own runs, the same in every epoch"));
}

TEST(ChooseOrder, IsTheSameInMemoryAndStreamed) {
  const TemporaryFolder folder;
  for (const Shuffle wanted : {Shuffle::full, Shuffle::window, Shuffle::chunk, Shuffle::off}) {
    const Order a = choose_order(wanted, *compressed(folder, 1000, 16, 1), 24, kWindow),
                b = choose_order(wanted, *compressed(folder, 1000, 16, 1 << 24), 24, kWindow);
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.windows, b.windows);
    EXPECT_EQ(a.parts, b.parts);
  }
}

TEST(ChooseOrder, BeginsRunsWithTheChunksOfEachFile) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {1000, 16}, counting<float>(16000), {{16, 16}, 1});
  put(folder / "b.h5", "/x", {600, 16}, counting<float>(9600), {{16, 16}, 1});
  const auto data =
      open_dataset({{folder / "a.h5", folder / "b.h5"}, "/x", ""}, {.memory_budget = 1, .probe = false});
  const Order order = choose_order(Shuffle::window, *data, 32, 16 * 1024);
  EXPECT_EQ(order.parts, (std::vector<int64_t>{1000, 600}));
  EXPECT_EQ(order.windows, (WindowShape{8, 16, 1}));
  EXPECT_EQ(read_amplification(order, *data), 1);
}

// Files of a few samples each would be all rest.
TEST(ChooseOrder, IgnoresTheEndsOfManySmallFiles) {
  const TemporaryFolder folder;
  std::vector<std::string> files;
  for (int64_t i = 0; i < 20; ++i) {
    files.push_back(folder / fmt::format("{}.h5", i));
    put(files.back(), "/x", {10 + i, 16}, counting<float>((10 + i) * 16), {{10 + i, 16}, 1});
  }
  const auto data = open_dataset({files, "/x", ""}, {.memory_budget = 1, .probe = false});
  const Order order = choose_order(Shuffle::window, *data, 8, 1 << 16);
  EXPECT_EQ(order.parts, std::vector<int64_t>{data->size()});
  EXPECT_EQ(order.windows.run, 4 * 29);
  EXPECT_NEAR(read_amplification(order, *data), 1.24, 0.01);
}

TEST(ChooseOrder, OfAPartOfADataSetReadsItInStoredOrder) {
  const TemporaryFolder folder;
  const Split split = split_dataset(compressed(folder, 4096, 16), 0.25, 7);
  for (const Dataset* part : {split.train.get(), split.validation.get()}) {
    const StoredSamples samples = part->stored_samples();
    EXPECT_EQ(std::reduce(samples.parts.begin(), samples.parts.end()), part->size());
    EXPECT_FALSE(samples.aligned);
    for (int64_t i = 1; i < part->size(); ++i) ASSERT_LT(part->stored_row(i - 1), part->stored_row(i));
  }
  EXPECT_EQ(split.train->stored_samples().block, 12);
  const Order order = choose_order(Shuffle::window, *split.train, 32, 8 * kWindow);
  EXPECT_EQ(order.windows.run, 48);
  EXPECT_NEAR(read_amplification(order, *split.train), 1.23, 0.01);
}

}  // namespace
}  // namespace lockstep
