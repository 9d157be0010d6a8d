#include "io/dataset/layouts/sequence_rows.h"

#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
void put_sequences(const std::string& path, const std::string& name, std::vector<std::vector<T>> sequences,
                   hid_t item, const hdf5::Storage& storage = {}) {
  const hdf5::Id type(H5Tvlen_create(item));
  std::vector<hvl_t> elements;
  for (auto& sequence : sequences) elements.push_back({sequence.size(), sequence.data()});
  put_elements(path, name, {static_cast<int64_t>(sequences.size())}, type.get(), elements.data(), storage);
}

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

TEST(SequenceRows, HoldNumbers) {
  const TemporaryFolder folder;
  put_sequences<float>(folder / "empty.h5", "/x", {{}, {}}, H5T_NATIVE_FLOAT);
  EXPECT_THAT(error_of([&] { open_sequences({folder / "empty.h5"}, ""); }),
              HasSubstr("empty.h5:/x holds 2 sequences, all of them empty."));
}

}  // namespace
}  // namespace lockstep
