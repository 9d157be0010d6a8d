#include "io/dataset/layouts/sequence_rows.h"

#include <set>

#include "io/dataset/loader.h"
#include "io/dataset/order/choose_order.h"
#include "tests/io/sequence_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Dataset> open_sequences(const std::vector<std::string>& files, const std::string& y,
                                        DatasetOptions options = {}) {
  options.probe = false;
  return open_dataset({files, "/x", y}, options);
}

TEST(SequenceRows, ArePaddedToTheLongest) {
  const TemporaryFolder folder;
  const std::vector<std::vector<float>> sequences = {{1, 2}, {}, {3, 4, 5}, {6}};
  const std::vector<hdf5::Storage> storages = {{}, {.chunk = {2}}, {.chunk = {3}, .deflate = 1}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string path = folder / (std::to_string(i) + ".h5");
    put_sequences(path, "/x", sequences, H5T_NATIVE_FLOAT, storages[i]);
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data = open_sequences({path}, "", {.memory_budget = budget});
      EXPECT_EQ(data->x_shape(), Shape{3});
      EXPECT_EQ(data->in_memory(), budget > 1);
      EXPECT_THAT(all_x<float>(*data), ElementsAre(1, 2, 0, 0, 0, 0, 3, 4, 5, 6, 0, 0));
    }
    EXPECT_THAT(all_x<float>(*open_sequences({path}, "", {.x_length = 4})),
                ElementsAre(1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 5, 0, 6, 0, 0, 0));
    EXPECT_THAT(error_of([&] { open_sequences({path}, "", {.x_length = 2}); }),
                HasSubstr(":/x: sample 2 is a sequence of 3 values, but samples are padded to 2"));
  }
}

TEST(SequenceRows, OfSeveralFilesHaveOneLength) {
  const TemporaryFolder folder;
  put_sequences<int16_t>(folder / "a.h5", "/x", {{1}, {2, 3}}, H5T_NATIVE_INT16);
  put_sequences<int16_t>(folder / "b.h5", "/x", {{4, 5, 6}}, H5T_NATIVE_INT16);
  EXPECT_THAT(all_x<float>(*open_sequences({folder / "a.h5", folder / "b.h5"}, "")),
              ElementsAre(1, 0, 0, 2, 3, 0, 4, 5, 6));
}

TEST(SequenceRows, OfClassesIgnoreTheirPadding) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_sequences<float>(path, "/x", {{1, 2}, {3, 4, 5}}, H5T_NATIVE_FLOAT);
  const int64_t one = int64_t{1} << 56;  // in the other order of bytes
  put_sequences<int64_t>(path, "/y", {{0, one}, {2 * one, one, 0}}, H5T_STD_I64BE);
  const auto data = open_sequences({path}, "/y", {.task = TargetTask::classes, .ignored_label = -1});
  EXPECT_EQ(data->y_shape(), Shape{3});
  EXPECT_EQ(data->classes(), 3);
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 1, -1, 2, 1, 0));
  EXPECT_THAT(data->class_targets(), ElementsAre(2, 2, 1));
  EXPECT_THAT(
      error_of([&] { open_sequences({path}, "/y", {.task = TargetTask::classes}); }),
      HasSubstr(":/y holds sequences of different lengths. Where targets are padded they have no class: set "
                "train.ignore_label"));
  EXPECT_THAT(
      error_of([&] { open_sequences({path}, "/y", {.task = TargetTask::values, .ignored_label = -1}); }),
      HasSubstr("can only be classes of positions"));
}

TEST(SequenceRows, OfTokensHaveNoTargetInTheirPadding) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_sequences<uint16_t>(path, "/x", {{5, 6, 7, 8}, {9, 1}}, H5T_NATIVE_UINT16);
  const DatasetOptions options{.task = TargetTask::tokens, .ignored_label = -1};
  for (const int64_t budget : {1 << 20, 1}) {
    DatasetOptions streamed = options;
    streamed.memory_budget = budget;
    const auto data = open_sequences({path}, "", streamed);
    EXPECT_EQ(data->x_shape(), Shape{3});
    EXPECT_EQ(data->classes(), 10);
    EXPECT_THAT(all_x<int32_t>(*data), ElementsAre(5, 6, 7, 9, 1, 0));
    EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(6, 7, 8, 1, -1, -1));
  }
  EXPECT_THAT(error_of([&] { open_sequences({path}, "", {.task = TargetTask::tokens}); }),
              HasSubstr("Set train.ignore_label = -1"));
}

TEST(SequenceRows, HoldNumbers) {
  const TemporaryFolder folder;
  put_sequences<float>(folder / "empty.h5", "/x", {{}, {}}, H5T_NATIVE_FLOAT);
  EXPECT_THAT(error_of([&] { open_sequences({folder / "empty.h5"}, ""); }),
              HasSubstr("empty.h5:/x holds 2 sequences, all of them empty."));
}

TEST(SequenceRows, OfBytesHaveNoTargetInTheirPaddingEither) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_sequences<uint8_t>(path, "/x", {{5, 6, 7, 8}, {9, 1}}, H5T_NATIVE_UINT8);
  put_sequences<uint8_t>(path, "/y", {{2, 0, 1, 1}, {0, 1}}, H5T_NATIVE_UINT8);
  for (const int64_t budget : {1 << 20, 1}) {
    DatasetOptions options{.memory_budget = budget, .task = TargetTask::tokens, .ignored_label = -1};
    EXPECT_THAT(all_y<int32_t>(*open_sequences({path}, "", options)), ElementsAre(6, 7, 8, 1, -1, -1));
    EXPECT_THAT(all_x<int32_t>(*open_sequences({path}, "", options)), ElementsAre(5, 6, 7, 9, 1, 0));
    options.task = TargetTask::classes;
    EXPECT_THAT(all_y<int32_t>(*open_sequences({path}, "/y", options)),
                ElementsAre(2, 0, 1, 1, 0, 1, -1, -1));
    EXPECT_THAT(open_sequences({path}, "/y", options)->class_targets(), ElementsAre(2, 3, 1));
    options.ignored_label = 255;
    EXPECT_THAT(all_y<int32_t>(*open_sequences({path}, "/y", options)),
                ElementsAre(2, 0, 1, 1, 0, 1, 255, 255));
  }
}

TEST(SequenceRows, TellTheirLengths) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5", even = folder / "even.h5";
  put_sequences<uint8_t>(path, "/x", {{5, 6, 7, 8}, {9}, {}, {1, 2}}, H5T_NATIVE_UINT8);
  put_sequences<uint8_t>(path, "/y", {{1, 0, 1, 0}, {1}, {0}, {1, 1}}, H5T_NATIVE_UINT8);
  put_sequences<uint8_t>(even, "/x", {{1, 2}, {3, 4}}, H5T_NATIVE_UINT8);
  const auto lengths_of = [](const Dataset& data) { return data.lengths(counting<int64_t>(data.size())); };
  for (const int64_t budget : {1 << 20, 1}) {
    const DatasetOptions options{.memory_budget = budget};
    EXPECT_THAT(lengths_of(*open_sequences({path}, "", options)), ElementsAre(4, 1, 0, 2));
    EXPECT_THAT(lengths_of(*open_sequences({path, even}, "", options)), ElementsAre(4, 1, 0, 2, 2, 2));
    EXPECT_THAT(lengths_of(*open_sequences({even}, "", options)), ElementsAre());
    // The longer of the sample and its targets.
    DatasetOptions classes{.memory_budget = budget, .task = TargetTask::classes, .ignored_label = -1};
    EXPECT_THAT(lengths_of(*open_sequences({path}, "/y", classes)), ElementsAre(4, 1, 1, 2));
    // The last token has no target.
    classes.task = TargetTask::tokens;
    EXPECT_THAT(lengths_of(*open_sequences({path}, "", classes)), ElementsAre(3, 0, 0, 1));
    DataSource some{{path}, "/x", ""};
    some.rows = {1, 4};
    EXPECT_THAT(lengths_of(*open_dataset(some, {.memory_budget = budget, .probe = false})),
                ElementsAre(1, 0, 2));
    const Split split = split_dataset(open_sequences({path}, "", options), 0.25, 1);
    std::vector<int64_t> lengths = lengths_of(*split.train), held_out = lengths_of(*split.validation);
    EXPECT_EQ(held_out.size(), 1U);
    lengths.insert(lengths.end(), held_out.begin(), held_out.end());
    EXPECT_THAT(lengths, testing::UnorderedElementsAre(4, 1, 0, 2));
  }
}

TEST(SequenceRows, AreLoadedAtTheLengthOfTheirBatch) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  std::vector<std::vector<float>> x;
  std::vector<std::vector<int32_t>> y;
  for (int i = 0; i < 50; ++i) {
    const auto length = static_cast<size_t>(1 + i * 7 % 20);
    x.emplace_back(length, static_cast<float>(i));
    y.emplace_back(length, i % 3);
  }
  put_sequences(path, "/x", x, H5T_NATIVE_FLOAT);
  put_sequences(path, "/y", y, H5T_NATIVE_INT32);
  for (const int64_t budget : {1 << 20, 1}) {
    const auto data = open_sequences(
        {path}, "/y", {.memory_budget = budget, .task = TargetTask::classes, .ignored_label = -1});
    const Sampler sampler(1, data->size(), 8, length_order({5, 9}, *data, 8));
    for (const int threads : {0, 2}) {
      Loader loader(Exec{}, *data, sampler,
                    {.first_slot = 4, .rows = 4, .last_epoch = 2, .threads = threads});
      std::set<int64_t> lengths;
      while (const Batch* batch = loader.next()) {
        const int64_t length = sampler.length(batch->epoch, batch->step_in_epoch);
        lengths.insert(length);
        ASSERT_EQ(batch->x.shape(), Shape({4, length}));
        ASSERT_EQ(batch->y.shape(), Shape({4, length}));
        for (int64_t row = 0; row < 4; ++row) {
          const int64_t index = sampler.sample(batch->epoch, batch->step_in_epoch, 4 + row);
          ASSERT_EQ(batch->sample_index.data<int64_t>()[row], index);
          for (int64_t at = 0; at < length; ++at) {
            const bool is_real = index >= 0 && at < 1 + index * 7 % 20;
            ASSERT_EQ(batch->x.data<float>()[row * length + at], is_real ? static_cast<float>(index) : 0);
            ASSERT_EQ(batch->y.data<int32_t>()[row * length + at], is_real ? index % 3 : index >= 0 ? -1 : 0);
          }
        }
        // Copied to a GPU as a whole.
        const BatchLayout layout(batch->x.bytes(), batch->y.bytes(), 4);
        EXPECT_EQ(batch->block.size(), layout.bytes);
        EXPECT_EQ(batch->block.data() + layout.y, batch->y.raw());
      }
      EXPECT_EQ(lengths, (std::set<int64_t>{5, 9, 20}));
    }
  }
}

TEST(SequenceRows, WhatBucketsCannotDoIsSaid) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_sequences<float>(path, "/x", {{1, 2}, {3, 4, 5}}, H5T_NATIVE_FLOAT);
  put_sequences<int32_t>(path, "/y", {{0, 1, 1, 0}, {1}}, H5T_NATIVE_INT32);
  put_sequences<float>(folder / "even.h5", "/x", {{1, 2}, {3, 4}}, H5T_NATIVE_FLOAT);
  const auto said = [&](const Dataset& data, std::vector<int64_t> bounds) {
    return error_of([&] { length_order(bounds, data, 1); }, ExitCode::usage);
  };
  EXPECT_THAT(said(*open_sequences({path}, ""), {2, 3}), HasSubstr("data.buckets: 3 is not below 3"));
  EXPECT_THAT(said(*open_sequences({folder / "even.h5"}, ""), {1}),
              HasSubstr("holds no sequences of variable length. Remove the key"));
  EXPECT_THAT(said(*open_sequences({path}, "/y", {.task = TargetTask::classes, .ignored_label = -1}), {2}),
              HasSubstr("are padded to 3, but their targets to 4. Set data.length to the larger"));
}

}  // namespace
}  // namespace lockstep
