#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/dataset/loader.h"
#include "tests/io/data_files.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

/// Every layout and budget must give what a plain in-memory read gives.
TEST(Dataset, StreamsWhatItWouldHoldInMemory) {
  const TemporaryFolder folder;
  const auto x = counting<float>(53 * 12);
  const auto y = counting<float>(53 * 2);
  const std::vector<hdf5::Storage> storages = {{},           {{5, 12}, 4}, {{7, 5}, 1},
                                               {{1, 12}, 0}, {{60, 1}, 3}, {{64, 16}, 0}};
  DatasetOptions options;
  options.task = TargetTask::values;
  for (size_t i = 0; i < storages.size(); ++i) {
    hdf5::Storage storage = storages[i];
    const std::string path = folder / (std::to_string(i) + ".h5");
    // A chunk may not pass the extent of a data set of fixed size.
    if (!storage.chunk.empty()) storage.chunk[0] = std::min<int64_t>(storage.chunk[0], 53);
    if (!storage.chunk.empty()) storage.chunk[1] = std::min<int64_t>(storage.chunk[1], 12);
    put(path, "/x", {53, 12}, x, storage);
    put(path, "/y", {53, 2}, y);
    for (const int64_t budget : {int64_t{0}, int64_t{100}, int64_t{700}, int64_t{1} << 20}) {
      options.memory_budget = budget;
      const auto data = open_xy(path, options);
      EXPECT_EQ(all_x<float>(*data), x) << "storage " << i << " budget " << budget;
      EXPECT_EQ(all_y<float>(*data), y);
      EXPECT_THAT(data->describe(), HasSubstr(budget == 1 << 20 ? "in memory" : "streamed"));
      // Any order, with repetitions.
      const std::vector<int64_t> indices = {52, 0, 51, 7, 7, 8, 0, 30, 29, 31};
      std::vector<float> rows(indices.size() * 12);
      data->read(indices, reinterpret_cast<std::byte*>(rows.data()), nullptr);
      for (size_t k = 0; k < indices.size(); ++k)
        for (size_t j = 0; j < 12; ++j)
          ASSERT_EQ(rows[k * 12 + j], static_cast<float>(indices[k] * 12) + static_cast<float>(j));
    }
  }
}

TEST(Dataset, SaysThatStreamingIsSlowByWhatASampleDecompresses) {
  const TemporaryFolder folder;
  const auto describe = [&](const Shape& shape, const hdf5::Storage& storage, int64_t budget) {
    const std::string path = folder / "x.h5";
    std::filesystem::remove(path);
    put(path, "/x", shape, std::vector<uint8_t>(static_cast<size_t>(shape.elements())), storage);
    DatasetOptions options;
    options.memory_budget = budget;
    return open_dataset({{path}, "/x", ""}, options)->describe();
  };
  // One of two chunks is always at hand, though each is slightly larger than the budget.
  EXPECT_THAT(describe({4096, 256}, {{2048, 256}, 1}, 500 << 10), testing::Not(HasSubstr("slowly")));
  // One of 32 is not, and half of them are no help either.
  EXPECT_THAT(
      describe({16384, 256}, {{512, 256}, 1}, 100 << 10),
      testing::AllOf(HasSubstr("slowly: reading a sample of 256 B decompresses about 1"),
                     HasSubstr(" KiB (raise data.memory_budget to 4 MiB to hold the whole data set")));
  EXPECT_THAT(describe({65536, 256}, {{2048, 256}, 1}, 8 << 20), HasSubstr("slowly"));
  // Each chunk holds a few values of every sample.
  EXPECT_THAT(describe({16384, 256}, {{16384, 1}, 1}, 500 << 10), HasSubstr("slowly"));
  EXPECT_THAT(describe({16384, 256}, {{1, 256}, 1}, 100 << 10), testing::Not(HasSubstr("slowly")));
  EXPECT_THAT(describe({16384, 256}, {{512, 256}, 0}, 100 << 10), testing::Not(HasSubstr("slowly")));
}

// A chunk holds as many samples as eight batches.
TEST(Dataset, DecodesTheNextChunksWhileBatchesAreNotWanted) {
  const TemporaryFolder folder;
  constexpr int64_t kRows = 512, kChunk = 64, kBatch = 8;
  put(folder / "a.h5", "/x", {kRows, 3}, counting<float>(kRows * 3), {{kChunk, 3}, 2});
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    DatasetOptions options;
    options.memory_budget = 0;
    options.readers = threads;
    options.probe = false;
    const auto data = open_dataset({{folder / "a.h5"}, "/x", ""}, options);
    EXPECT_EQ(data->cache_use().bytes, (threads + 1) * kChunk * 3 * int64_t{sizeof(float)});
    const Sampler sampler(1, kRows, kBatch, {Order::Kind::stored});
    {
      Loader of_a_chunk(
          Exec{}, *data, sampler,
          {.rows = kBatch, .last_epoch = 1, .threads = threads, .max_batches = kChunk / kBatch});
      while (of_a_chunk.next() != nullptr) {
      }
    }
    EXPECT_EQ(data->cache_use().decoded, 1) << "nothing behind the last batch";
    Loader loader(Exec{}, *data, sampler, {.rows = kBatch, .last_epoch = 1, .threads = threads});
    // That of the batches that are held, and one for each thread.
    EXPECT_TRUE(await([&] { return data->cache_use().decoded == 1 + threads; }));
    int64_t next = 0;
    while (const Batch* batch = loader.next())
      for (int64_t row = 0; row < kBatch; ++row)
        EXPECT_EQ(batch->x.data<float>()[3 * row], static_cast<float>(3 * next++));
    EXPECT_EQ(next, kRows);
    EXPECT_EQ(data->cache_use().decoded, kRows / kChunk);
  }
}

TEST(Dataset, StreamsFromSeveralThreads) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {400, 3}, counting<int32_t>(1200), {{16, 3}, 2});
  DatasetOptions options;
  options.memory_budget = 500;
  const auto data = open_dataset({{folder / "a.h5"}, "/x", ""}, options);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 100; ++i) {
        const int64_t indices[] = {(i * 37 + t * 11) % 400, (i * 91 + t) % 400};
        float rows[6];
        data->read(indices, reinterpret_cast<std::byte*>(rows), nullptr);
        if (rows[1] != static_cast<float>(indices[0] * 3 + 1) ||
            rows[5] != static_cast<float>(indices[1] * 3 + 2))
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lockstep
