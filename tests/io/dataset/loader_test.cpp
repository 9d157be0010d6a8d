#include "io/dataset/loader.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/io/data_files.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

/// Sample i holds i three times and has label i % 10. Counts its reads and fails at a chosen sample.
class CountingDataset final : public Dataset {
 public:
  explicit CountingDataset(int64_t size, bool targets = true) : size_(size), targets_(targets) {}
  int64_t size() const override { return size_; }
  const Shape& x_shape() const override { return shape_; }
  DType x_dtype() const override { return DType::f32; }
  TargetKind target_kind() const override { return targets_ ? TargetKind::classes : TargetKind::none; }
  const Shape& y_shape() const override { return label_; }
  int64_t classes() const override { return 10; }
  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    ++reads;
    if (sleep.count() > 0) std::this_thread::sleep_for(sleep);
    for (size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] == fail_at) fail(ExitCode::data, "sample {} is bad", indices[i]);
      const auto value = static_cast<float>(indices[i]);
      const float row[3] = {value, value, value};
      std::memcpy(x + i * sizeof(row), row, sizeof(row));
      const auto label = static_cast<int32_t>(indices[i] % 10);
      if (y != nullptr) std::memcpy(y + i * sizeof(label), &label, sizeof(label));
    }
    // Threads finish out of order.
    if (!indices.empty() && indices[0] % 3 == 0) std::this_thread::yield();
  }
  uint64_t fingerprint() const override { return 0; }
  bool in_memory() const override { return sleep.count() == 0; }
  std::string describe() const override { return "counting"; }

  mutable std::atomic<int> reads = 0;
  int64_t fail_at = -1;
  std::chrono::milliseconds sleep{};  ///< of each read, as for bytes of a file; 0: in memory

 private:
  int64_t size_;
  bool targets_;
  Shape shape_{3}, label_;
};

struct Row {
  int64_t epoch, step, index;
  float x;
  int32_t y;
  bool operator==(const Row&) const = default;
};

/// All rows, padding included, that a loader gives out.
std::vector<Row> rows_of(const Dataset& data, const Sampler& sampler, const Loader::Options& options) {
  Loader loader(Exec{}, data, sampler, options);
  std::vector<Row> rows;
  while (const Batch* batch = loader.next()) {
    EXPECT_EQ(batch->global_valid, sampler.valid(batch->step_in_epoch));
    EXPECT_EQ(batch->x.shape(), Shape({options.rows, 3}));
    for (int64_t i = 0; i < options.rows; ++i)
      rows.push_back({batch->epoch, batch->step_in_epoch, batch->sample_index.data<int64_t>()[i],
                      batch->x.data<float>()[3 * i + 2], batch->y.data<int32_t>()[i]});
  }
  EXPECT_EQ(loader.next(), nullptr);
  return rows;
}

TEST(Loader, TellsWaitingForBytesFromWorkingOnThem) {
  for (const int threads : {0, 1, 3}) {
    SCOPED_TRACE(threads);
    CountingDataset data(32);
    const Sampler sampler(5, data.size(), 8, {Order::Kind::full});
    const auto seconds_of_all = [&] {
      Loader loader(Exec{}, data, sampler, {.rows = 8, .last_epoch = 1, .threads = threads});
      while (loader.next() != nullptr) {
      }
      return loader.seconds();
    };
    const Loader::Seconds in_memory = seconds_of_all();
    EXPECT_EQ(in_memory.read, 0);
    EXPECT_GT(in_memory.decode, 0);
    EXPECT_GT(in_memory.waited, 0);
    data.sleep = std::chrono::milliseconds(3);
    Loader::Seconds from_a_file;
    // The first batch is not there, unless this thread got no core before the readers were done with it.
    EXPECT_TRUE(await([&] { return (from_a_file = seconds_of_all()).waited >= 0.003; }));
    EXPECT_GE(from_a_file.read, 4 * 0.003);
    EXPECT_GT(from_a_file.decode, 0);
  }
}

TEST(Loader, GivesTheSamplersOrderWithAnyNumberOfThreads) {
  const CountingDataset data(103);
  const Sampler sampler(5, data.size(), 8, {Order::Kind::full});
  std::vector<Row> expected;
  for (int64_t epoch = 1; epoch < 4; ++epoch) {
    for (int64_t step = epoch == 1 ? 2 : 0; step < sampler.steps_per_epoch(); ++step) {
      for (int64_t slot = 4; slot < 8; ++slot) {
        const int64_t index = sampler.sample(epoch, step, slot);
        expected.push_back({epoch, step, index, index < 0 ? 0.f : static_cast<float>(index),
                            index < 0 ? 0 : static_cast<int32_t>(index % 10)});
      }
    }
  }
  EXPECT_EQ(expected.back().index, -1);  // 103 = 12 * 8 + 7: the last slot is padding
  for (const int threads : {0, 1, 3}) {
    for (const int depth : {1, 2, 5}) {
      const Loader::Options options{4, 4, 1, 2, 4, threads, depth};
      EXPECT_EQ(rows_of(data, sampler, options), expected) << threads << " threads, depth " << depth;
    }
  }
}

TEST(Loader, ResumesBehindTheEndOfAnEpochAndOfTheRun) {
  const CountingDataset data(16);
  const Sampler sampler(5, 16, 8, {Order::Kind::full});
  Loader::Options options{0, 8, 0, 2, 2, 1, 4};  // step 2 of epoch 0 is step 0 of epoch 1
  EXPECT_EQ(rows_of(data, sampler, options)[0].epoch, 1);
  options.first_step = 4;
  EXPECT_TRUE(rows_of(data, sampler, options).empty());
}

TEST(Loader, StopsAfterTheBatchesThatWereWanted) {
  const CountingDataset data(103);
  const Sampler sampler(5, data.size(), 8, {Order::Kind::full});
  Loader::Options options{4, 4, 0, 11, 4, 0, 4};
  std::vector<Row> expected = rows_of(data, sampler, options);
  expected.resize(3 * 4);  // of the last two batches of an epoch and the first of the next one
  options.max_batches = 3;
  for (const int threads : {0, 1, 3}) {
    options.threads = threads;
    EXPECT_EQ(rows_of(data, sampler, options), expected);
  }
}

TEST(Loader, HoldsNoMoreThanDepthBatches) {
  const CountingDataset data(1000);
  const Sampler sampler(5, 1000, 10, {Order::Kind::stored});
  Loader loader(Exec{}, data, sampler, {0, 10, 0, 0, 1, 4, 3});
  for (int given = 1; given <= 5; ++given) {
    ASSERT_NE(loader.next(), nullptr);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_LE(data.reads, given - 1 + 3);
  }
}

TEST(Loader, RethrowsAReadersErrorAtItsBatch) {
  CountingDataset data(100);
  data.fail_at = 35;
  const Sampler sampler(5, 100, 10, {Order::Kind::stored});
  for (const int threads : {0, 1, 4}) {
    Loader loader(Exec{}, data, sampler, {0, 10, 0, 0, 1, threads, 4});
    for (int step = 0; step < 3; ++step) EXPECT_EQ(loader.next()->step_in_epoch, step);
    EXPECT_EQ(error_of([&] { loader.next(); }), "sample 35 is bad");
    EXPECT_EQ(error_of([&] { loader.next(); }), "sample 35 is bad");
  }
}

TEST(Loader, EndsAtAnyTime) {
  const CountingDataset data(1000);
  const Sampler sampler(5, 1000, 10, {Order::Kind::full});
  for (int given = 0; given < 30; ++given) {
    Loader loader(Exec{}, data, sampler, {0, 10, 0, 0, 1, 3, 4});
    for (int i = 0; i < given; ++i) loader.next();
  }
}

TEST(Loader, WithoutTargetsYIsEmpty) {
  const CountingDataset data(5, false);
  Loader loader(Exec{}, data, Sampler(1, 5, 2, {Order::Kind::stored}), {0, 2, 0, 0, 1, 1, 2});
  const Batch* batch = loader.next();
  EXPECT_FALSE(batch->y);
  EXPECT_EQ(batch->x.data<float>()[3], 1.f);
}

}  // namespace
}  // namespace lockstep
