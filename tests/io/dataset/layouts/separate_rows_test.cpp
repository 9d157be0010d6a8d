#include "io/dataset/layouts/separate_rows.h"

#include <chrono>

#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> matches_of(const std::string& path, const std::string& pattern) {
  std::vector<std::string> names;
  for (const MatchingName& match : matching_names(hdf5::File::open(path), pattern))
    names.push_back(match.name);
  return names;
}

std::unique_ptr<Dataset> open_samples(const std::string& path, const std::string& x, const std::string& y,
                                      DatasetOptions options = {}) {
  options.probe = false;
  return open_dataset({{path}, x, y}, options);
}

/// Writes sample i as /data/i/obs, [10 i, 10 i + 1], and /data/i/label, i modulo 3.
void put_samples(const std::string& path, int64_t count, const hdf5::Storage& storage = {}) {
  for (int64_t i = 0; i < count; ++i) {
    const std::string group = "/data/" + std::to_string(i);
    put(path, group + "/obs", {2},
        std::vector<float>{static_cast<float>(10 * i), static_cast<float>(10 * i + 1)}, storage);
    const auto label = static_cast<int32_t>(i % 3);
    hdf5::File::open_for_writing(path).write(group + "/label", {&label, DType::i32, {}});
  }
}

TEST(MatchingNames, AreInNaturalOrder) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  for (const std::string name :
       {"/run10/s1/x", "/run9/s2/x", "/run9/s11/x", "/run9/s2/y", "/other/s1/x", "/run9/x"})
    put(path, name, {1}, std::vector<float>{0});
  EXPECT_THAT(matches_of(path, "/run*/s*/x"), ElementsAre("/run9/s2/x", "/run9/s11/x", "/run10/s1/x"));
  EXPECT_THAT(matches_of(path, "/run9/*"), ElementsAre("/run9/s2", "/run9/s11", "/run9/x"));
  EXPECT_THAT(matches_of(path, "run9/s*/y"), ElementsAre("/run9/s2/y"));
  EXPECT_EQ(matching_names(hdf5::File::open(path), "/run*/s*/x")[1].key, "run9/s11");
}

TEST(SeparateRows, AreOneSampleEach) {
  const TemporaryFolder folder;
  const std::vector<hdf5::Storage> storages = {{}, {.chunk = {2}, .deflate = 1}};
  for (const hdf5::Storage& storage : storages) {
    const std::string path = folder / (storage.chunk.empty() ? "plain.h5" : "packed.h5");
    put_samples(path, 12, storage);
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data = open_samples(path, "/data/*/obs", "/data/*/label", {.memory_budget = budget});
      EXPECT_EQ(data->size(), 12);
      EXPECT_EQ(data->x_shape(), Shape{2});
      EXPECT_EQ(data->in_memory(), budget > 1);
      const std::vector<float> x = all_x<float>(*data);
      for (size_t i = 0; i < 12; ++i) EXPECT_EQ(x[2 * i + 1], static_cast<float>(10 * i + 1));
      EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2));
    }
  }
}

TEST(SeparateRows, MayHaveTargetsInOneDataSet) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_samples(path, 11);
  put(path, "/labels", {11}, counting<int64_t>(11, 4));
  EXPECT_EQ(all_y<int32_t>(*open_samples(path, "/data/*/obs", "/labels"))[10], 2);
}

TEST(SeparateRows, AreChecked) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& name, const std::function<void(const std::string&)>& add) {
    const std::string path = folder / name;
    put_samples(path, 3);
    add(path);
    return error_of([&] { open_samples(path, "/data/*/obs", "/data/*/label"); });
  };
  EXPECT_THAT(
      error("shape.h5", [](const std::string& path) { put(path, "/data/3/obs", {3}, counting<float>(3)); }),
      HasSubstr("shape.h5:/data/3/obs has the shape (3), but /data/0/obs has (2)."));
  EXPECT_THAT(
      error("type.h5", [](const std::string& path) { put(path, "/data/3/obs", {2}, counting<double>(2)); }),
      HasSubstr("type.h5:/data/3/obs holds float64, but /data/0/obs holds float32."));
  EXPECT_THAT(
      error("label.h5", [](const std::string& path) { put(path, "/data/1x/obs", {2}, counting<float>(2)); }),
      HasSubstr("label.h5: there is a data set for '1x' of /data/*/obs, but none of /data/*/label."));
  EXPECT_THAT(error("text.h5",
                    [](const std::string& path) {
                      put_text(path, "/data/9/obs", {2}, {"a", "b"});
                    }),
              HasSubstr("text.h5:/data/9/obs holds text"));
  put_samples(folder / "a.h5", 2);
  EXPECT_THAT(error_of([&] { open_samples(folder / "a.h5", "/data/*/image", ""); }),
              HasSubstr("a.h5: no data set matches /data/*/image. `lockstep data info"));
}

TEST(SeparateRows, OpenByTheThousand) {
  constexpr int64_t kSamples = 10000;
  const TemporaryFolder folder;
  const std::string path = folder / "many.h5";
  {
    hdf5::File file = hdf5::File::create(path);
    for (int64_t i = 0; i < kSamples; ++i) {
      const auto value = static_cast<float>(i);
      file.write("/data/" + std::to_string(i) + "/obs", {&value, DType::f32, {1}});
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  const SeparateRows rows(hdf5::File::open(path), "/data/*/obs");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_EQ(rows.rows(), kSamples);
  EXPECT_THAT(rows.data_sets(), ElementsAre("/data/0/obs"));
  EXPECT_FALSE(rows.facts().by_libhdf5);
  std::vector<float> values(kSamples);
  rows.read_rows(0, kSamples, DType::f32, reinterpret_cast<std::byte*>(values.data()));
  EXPECT_EQ(values, counting<float>(kSamples));
  EXPECT_LT(seconds.count(), 60) << "quadratic time";
}

}  // namespace
}  // namespace lockstep
