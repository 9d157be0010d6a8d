#include <unistd.h>

#include <filesystem>

#include "io/dataset/loader.h"
#include "src/device/libraries/cufile.h"
#include "tests/io/data_files.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::from_backend;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kBatchRows = 6, kSampleValues = 35;
const DatasetOptions kStreamed{.memory_budget = 1};

class GpuDirectTest : public testing::Test {
 protected:
  void SetUp() override {
    test::use_backend(Backend::cuda, exec);
    if (IsSkipped()) return;
    try {
      const FileToGpu works(exec);
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
  }
  const TemporaryFolder folder;
  Exec exec;
};

/// Two files with 37 samples.
template <typename T>
DataSource two_files(const TemporaryFolder& folder) {
  for (const auto& [name, rows] : {std::pair("a.h5", 24), std::pair("b.h5", 13)}) {
    put(folder / name, "/x", {rows, 5, 7}, counting<T>(rows * kSampleValues, 250 + rows));
    put(folder / name, "/y", {rows}, counting<int64_t>(rows, 3));
  }
  return {.files = {folder / "a.h5", folder / "b.h5"}, .x = "/x", .y = "/y"};
}

template <typename T>
void expect_same_batches(Exec exec, const TemporaryFolder& folder) {
  const auto data = open_dataset(two_files<T>(folder), kStreamed);
  ASSERT_EQ(data->stored_runs().size(), 2u);
  for (const Order::Kind kind : {Order::Kind::stored, Order::Kind::full}) {
    const Sampler sampler(7, data->size(), kBatchRows, {kind});
    Loader::Options options{.rows = kBatchRows, .last_epoch = 2, .threads = 2};
    Loader usual(exec, *data, sampler, options);
    options.gpu_direct = true;
    Loader direct(exec, *data, sampler, options);
    int batches = 0;
    while (const Batch* expected = usual.next()) {
      const Batch* batch = direct.next();
      ASSERT_NE(batch, nullptr);
      EXPECT_TRUE(batch->block.empty());
      const std::span<const T> values(expected->x.template data<T>(), kBatchRows * kSampleValues);
      const std::span<const T> found(batch->x.template data<T>(), kBatchRows * kSampleValues);
      EXPECT_EQ(from_backend(exec, found), std::vector<T>(values.begin(), values.end()));
      for (int64_t row = 0; row < kBatchRows; ++row) {
        EXPECT_EQ(batch->y.template data<int32_t>()[row], expected->y.template data<int32_t>()[row]);
        EXPECT_EQ(batch->sample_index.template data<int64_t>()[row],
                  expected->sample_index.template data<int64_t>()[row]);
      }
      ++batches;
    }
    EXPECT_EQ(direct.next(), nullptr);
    EXPECT_EQ(batches, 14);
  }
}

TEST_F(GpuDirectTest, BatchesHaveTheSameBits) {
  expect_same_batches<uint8_t>(exec, folder);
  for (const char* name : {"a.h5", "b.h5"}) std::filesystem::remove(folder / name);
  expect_same_batches<float>(exec, folder);
}

TEST_F(GpuDirectTest, AFileThatWasCutShortIsNamed) {
  const auto data = open_dataset(two_files<uint8_t>(folder), kStreamed);
  const Sampler sampler(7, data->size(), kBatchRows, {Order::Kind::stored});
  Loader loader(exec, *data, sampler,
                {.rows = kBatchRows, .last_epoch = 2, .threads = 0, .gpu_direct = true});
  ASSERT_NE(loader.next(), nullptr);
  std::filesystem::resize_file(folder / "a.h5", 512);
  EXPECT_THAT(error_of([&] { loader.next(); }), AllOf(HasSubstr("a.h5 changed"), HasSubstr("512 bytes")));
}

TEST(StoredRuns, AreOnlyThereWhereTheBytesOfTheFileAreDelivered) {
  const TemporaryFolder folder;
  const DataSource source = two_files<float>(folder);
  const auto data = open_dataset(source, kStreamed);
  const std::vector<StoredRun> runs = data->stored_runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].first, 0);
  EXPECT_EQ(runs[0].samples, 24);
  EXPECT_EQ(runs[1].first, 24);
  EXPECT_EQ(runs[1].samples, 13);
  EXPECT_EQ(runs[1].file, folder / "b.h5");
  float value = 0;
  ASSERT_EQ(pread(runs[1].descriptor, &value, sizeof value, runs[1].offset + 4), 4);
  EXPECT_EQ(value, 1);

  DataSource part = source;
  part.rows = *parse_row_slice("3:30");
  const auto some = open_dataset(part, kStreamed);
  const std::vector<StoredRun> of_part = some->stored_runs();
  ASSERT_EQ(of_part.size(), 2u);
  EXPECT_EQ(of_part[0].offset, runs[0].offset + 3 * kSampleValues * 4);
  EXPECT_EQ(of_part[0].row, 3);
  EXPECT_EQ(of_part[0].samples, 21);
  EXPECT_EQ(of_part[1].first, 21);
  EXPECT_EQ(of_part[1].samples, 6);

  EXPECT_TRUE(open_dataset(source, {})->stored_runs().empty()) << "in memory";
  DataSource windows = source;
  windows.window = 4;
  EXPECT_TRUE(open_dataset(windows, kStreamed)->stored_runs().empty());
  EXPECT_TRUE(split_dataset(open_dataset(source, kStreamed), 0.2, 1).train->stored_runs().empty());
  put(folder / "chunks.h5", "/x", {8, 3}, counting<float>(24), {{2, 3}, 0});
  EXPECT_TRUE(open_dataset({{folder / "chunks.h5"}, "/x", ""}, kStreamed)->stored_runs().empty());
  put(folder / "wide.h5", "/x", {8, 3}, counting<int64_t>(24));
  EXPECT_TRUE(open_dataset({{folder / "wide.h5"}, "/x", ""}, kStreamed)->stored_runs().empty())
      << "converted to float";
}

}  // namespace
}  // namespace lockstep
