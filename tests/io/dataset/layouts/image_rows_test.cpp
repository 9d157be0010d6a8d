#include "io/dataset/layouts/image_rows.h"

#include "tests/io/images/image_files.h"
#include "tests/io/text_files.h"

#if LOCKSTEP_TEST_IMAGES

namespace lockstep {
namespace {

using images::Size;
using testing::AllOf;
using testing::HasSubstr;

using Files = std::vector<std::vector<std::byte>>;

/// Adds /x: sequences of bytes.
void put_bytes(const std::string& path, const Files& files, const hdf5::Storage& storage = {}) {
  const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_UINT8));
  std::vector<hvl_t> elements;
  for (const auto& file : files) elements.push_back({file.size(), const_cast<std::byte*>(file.data())});
  put_elements(path, "/x", {static_cast<int64_t>(files.size())}, type.get(), elements.data(), storage);
}

std::unique_ptr<Dataset> open_images(const std::string& path, DatasetOptions options = {}) {
  options.probe = false;
  return open_dataset({{path}, "/x", ""}, options);
}

TEST(ImageRows, AreDecodedAsTheyAreRead) {
  const TemporaryFolder folder;
  const Size size{9, 7, 3};
  Files files;
  std::vector<std::byte> pixels;
  for (int i = 0; i < 5; ++i) {
    const std::vector<std::byte> image = smooth_image(size, i);
    files.push_back(to_png(size, image));
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
  const std::vector<hdf5::Storage> storages = {{}, {.chunk = {2}}, {.chunk = {4}, .deflate = 1}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string path = folder / (std::to_string(i) + ".h5");
    put_bytes(path, files, storages[i]);
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data = open_images(path, {.memory_budget = budget});
      EXPECT_EQ(data->x_shape(), (Shape{9, 7, 3}));
      EXPECT_EQ(data->x_dtype(), DType::u8);
      EXPECT_EQ(data->in_memory(), budget > 1);
      EXPECT_EQ(all_x<std::byte>(*data), pixels);
    }
  }
}

TEST(ImageRows, MayBeOpaqueBytesWithPadding) {
  const TemporaryFolder folder;
  const Size size{6, 6, 1};
  std::vector<std::byte> elements;
  for (int i = 0; i < 2; ++i) {
    std::vector<std::byte> file = to_png(size, smooth_image(size, i));
    file.resize(400);
    elements.insert(elements.end(), file.begin(), file.end());
  }
  const hdf5::Id type(H5Tcreate(H5T_OPAQUE, 400));
  put_elements(folder / "a.h5", "/x", {2}, type.get(), elements.data());
  const auto data = open_images(folder / "a.h5");
  EXPECT_EQ(data->x_shape(), (Shape{6, 6}));
  const std::vector<std::byte> x = all_x<std::byte>(*data), second = smooth_image(size, 1);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), x.begin() + 36));
}

TEST(ImageRows, OfAnotherSizeOrDamagedAreNamed) {
  const TemporaryFolder folder;
  const Size size{6, 6, 1}, other{6, 8, 1};
  const std::vector<std::byte> good = to_png(size, smooth_image(size));
  put_bytes(folder / "size.h5", {good, good, to_png(other, smooth_image(other))});
  EXPECT_THAT(
      error_of([&] { open_images(folder / "size.h5"); }),
      AllOf(
          HasSubstr("size.h5:/x: sample 2 is an image of 6 x 8, 1 channel, and the first one is of 6 x 6, 1 "
                    "channel. All images"),
          HasSubstr("scale or cut")));
  std::vector<std::byte> damaged = good;
  damaged.resize(damaged.size() - 20);
  put_bytes(folder / "damaged.h5", {good, damaged});
  EXPECT_THAT(error_of([&] { open_images(folder / "damaged.h5"); }),
              HasSubstr("damaged.h5:/x: sample 1 is no image that can be used: its PNG data is damaged"));
  put_bytes(folder / "empty.h5", {good, {}});
  EXPECT_THAT(error_of([&] { open_images(folder / "empty.h5"); }),
              HasSubstr("sample 1 is no image that can be used: it is empty"));
}

}  // namespace
}  // namespace lockstep

#endif
