#include "io/import/import_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/io/images/exif_bytes.h"
#include "tests/io/images/image_files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

#if LOCKSTEP_TEST_IMAGES

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ImportImages : public testing::Test {
 protected:
  void put_file(const std::string& name, std::string_view bytes) const {
    fs::create_directories(fs::path(folder_ / ("in/" + name)).parent_path());
    write_raw(folder_ / ("in/" + name), bytes);
  }
  /// A PNG of one value.
  void put_image(const std::string& name, int value, images::Size size = {4, 6, 1}) const {
    const auto count = static_cast<size_t>(size.height * size.width * size.channels);
    put_file(name, text_of(to_png(size, std::vector<std::byte>(count, static_cast<std::byte>(value)))));
  }
  std::string in() const { return folder_ / "in"; }
  std::string out() const { return folder_ / "out.h5"; }
  ImportedImages import(const ImportImagesOptions& options = {}) const {
    fs::remove(out());
    return import_images(in(), out(), options);
  }
  /// The error of an import, which must leave nothing behind.
  std::string import_error(const ImportImagesOptions& options = {}, ExitCode code = ExitCode::data) const {
    const std::string message = error_of([&] { import(options); }, code);
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_FALSE(entry.path().filename().string().starts_with("out.h5")) << entry.path();
    return message;
  }
  std::vector<uint8_t> pixels(const std::string& group = "/train") const {
    const hdf5::File file = hdf5::File::open(out());
    const hdf5::Dataset x = file.dataset(group + "/x");
    std::vector<uint8_t> values(static_cast<size_t>(x.elements()));
    x.read(DType::u8, values.data());
    return values;
  }
  std::vector<int64_t> extents(const std::string& name) const {
    return hdf5::File::open(out()).dataset(name).extents();
  }
  TemporaryFolder folder_;
};

TEST_F(ImportImages, MakesClassesOfSubFolders) {
  for (int i = 0; i < 5; ++i) {
    put_image(fmt::format("dog/{}.png", i), 10 + i);
    put_image(fmt::format("a cat/more/{}.PNG", i), 20 + i);
  }
  fs::create_directories(folder_ / "in/empty");
  const ImportedImages imported = import();
  EXPECT_THAT(imported.classes, ElementsAre("a cat", "dog"));
  ASSERT_THAT(imported.parts, SizeIs(1));
  EXPECT_EQ(imported.parts[0].images, 10);
  EXPECT_THAT(imported.parts[0].of_class, ElementsAre(5, 5));
  EXPECT_THAT(extents("/train/x"), ElementsAre(10, 4, 6, 1));
  const auto data = open_dataset({{out()}, "/train/x", "/train/y"}, {});
  EXPECT_EQ(data->classes(), 2);
  EXPECT_THAT(data->class_names(), ElementsAre("a cat", "dog"));
  const std::vector<uint8_t> values = pixels();
  std::vector<uint8_t> firsts;
  for (size_t i = 0; i < 10; ++i) {
    firsts.push_back(values[i * 24]);
    EXPECT_EQ(data->label(static_cast<int64_t>(i)), firsts.back() < 20 ? 1 : 0);
  }
  EXPECT_THAT(firsts, UnorderedElementsAre(10, 11, 12, 13, 14, 20, 21, 22, 23, 24));
}

TEST_F(ImportImages, GivesPartsTheirShares) {
  for (int i = 0; i < 20; ++i) {
    put_image(fmt::format("a/{}.png", i), i);
    put_image(fmt::format("b/{}.png", i), 100 + i);
  }
  const ImportedImages imported = import({.validation = 0.25, .test = 0.1, .threads = 3});
  ASSERT_THAT(imported.parts, SizeIs(3));
  EXPECT_EQ(imported.parts[1].name, "validation");
  EXPECT_THAT(imported.parts[1].of_class, ElementsAre(5, 5));
  EXPECT_THAT(imported.parts[2].of_class, ElementsAre(2, 2));
  EXPECT_THAT(extents("/test/x"), ElementsAre(4, 4, 6, 1));
  EXPECT_THAT(extents("/validation/y"), ElementsAre(10));
  std::vector<uint8_t> all;
  for (const char* group : {"/train", "/validation", "/test"}) {
    const std::vector<uint8_t> values = pixels(group);
    for (size_t i = 0; i < values.size(); i += 24) all.push_back(values[i]);
  }
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::unique(all).begin() - all.begin(), 40);
}

TEST_F(ImportImages, SaysWhatIsLeftOut) {
  put_image("a/good.png", 1);
  put_image("a/also.png", 2);
  put_file("a/text.jpg", "not an image");
  put_file("a/notes.txt", "");
  put_file("a/.hidden.png", "");
  put_file("a/none", "");
  put_image("outside.png", 3);
  const std::vector<std::byte> jpeg = to_jpeg({40, 40, 3}, smooth_image({40, 40, 3}));
  put_file("a/cut.jpg", text_of(jpeg).substr(0, jpeg.size() / 2));
  const ImportedImages imported = import({.height = 4, .width = 4});
  EXPECT_EQ(imported.parts[0].images, 2);
  EXPECT_THAT(extents("/train/x"), ElementsAre(2, 4, 4, 3));
  EXPECT_THAT(extents("/train/y"), ElementsAre(2));
  ASSERT_THAT(imported.unusable, SizeIs(2));
  EXPECT_EQ(imported.unusable[0].name, "a/text.jpg");
  EXPECT_EQ(imported.unusable[0].reason, "it is neither JPEG nor PNG");
  EXPECT_EQ(imported.unusable[1].name, "a/cut.jpg");
  EXPECT_THAT(imported.unusable[1].reason, HasSubstr("its JPEG data is damaged"));
  std::vector<std::string> kinds;
  for (const LeftOut& file : imported.other) kinds.push_back(file.name + " " + file.reason);
  EXPECT_THAT(kinds, UnorderedElementsAre("a/notes.txt .txt", "a/.hidden.png hidden", "a/none without ending",
                                          "outside.png image outside the sub-folders"));
  EXPECT_THAT(import_error({.height = 4, .width = 4, .strict = true}),
              AllOf(HasSubstr(in() + "/a/text.jpg: it is neither JPEG nor PNG"), HasSubstr("--strict")));
}

TEST_F(ImportImages, NeedsImages) {
  EXPECT_THAT(import_error(), HasSubstr("is not a folder"));
  put_file("a/text.jpg", "not an image");
  EXPECT_THAT(import_error(),
              HasSubstr("none of 1 file can be used. a/text.jpg: it is neither JPEG nor PNG"));
  fs::remove_all(in());
  put_image("b.png", 1);
  EXPECT_THAT(import_error(), HasSubstr("Put the images of each class into a sub-folder"));
  fs::remove_all(in());
  put_image("train/cat/b.png", 1);
  put_image("val/cat/b.png", 1);
  EXPECT_THAT(import_error(), AllOf(HasSubstr("are parts of a data set"), HasSubstr("in/train, to a file")));
}

TEST_F(ImportImages, NeedsOneSizeOrIsToldIt) {
  put_image("a/1.png", 1, {4, 6, 1});
  put_image("a/2.png", 2, {8, 5, 3});
  EXPECT_THAT(import_error(),
              AllOf(HasSubstr("a/1.png has a size of 4 x 6, and a/2.png of 8 x 5"), HasSubstr("--size 4,5")));
  import({.height = 3, .width = 2});
  EXPECT_THAT(extents("/train/x"), ElementsAre(2, 3, 2, 3));
  import({.height = 3, .width = 2, .channels = 1});
  EXPECT_THAT(extents("/train/x"), ElementsAre(2, 3, 2, 1));
}

TEST_F(ImportImages, TurnsImagesUpright) {
  const std::vector<std::byte> jpeg = to_jpeg({8, 16, 1}, smooth_image({8, 16, 1}));
  put_file("a/1.jpg", text_of(with_segment(jpeg, 0xE1, exif_bytes(6, true))));
  import();
  EXPECT_THAT(extents("/train/x"), ElementsAre(1, 16, 8, 1));
  const std::vector<uint8_t> turned = pixels();
  std::vector<std::byte> stored(128);
  images::decode(jpeg, {8, 16, 1}, stored);
  for (size_t y = 0; y < 16; ++y)
    for (size_t x = 0; x < 8; ++x)
      EXPECT_EQ(turned[y * 8 + x], std::to_integer<uint8_t>(stored[(7 - x) * 16 + y])) << y << " " << x;
}

TEST_F(ImportImages, IsTheSameWithAnyNumberOfThreads) {
  for (int i = 0; i < 40; ++i) {
    const images::Size size{20 + i % 3, 30, 1 + i % 4};
    put_file(fmt::format("{}/{}.png", i % 3, i), text_of(to_png(size, smooth_image(size, i))));
  }
  const ImportImagesOptions one{.height = 16, .width = 16, .validation = 0.2, .threads = 1};
  ImportImagesOptions five = one;
  five.threads = 5;
  const auto labels = [&] {
    std::vector<int32_t> values(32);
    hdf5::File::open(out()).dataset("/train/y").read(DType::i32, values.data());
    return values;
  };
  import(one);
  const std::vector<uint8_t> train = pixels(), validation = pixels("/validation");
  const std::vector<int32_t> classes = labels();
  import(five);
  EXPECT_TRUE(pixels() == train);
  EXPECT_TRUE(pixels("/validation") == validation);
  EXPECT_EQ(labels(), classes);
}

TEST_F(ImportImages, TakesClassesFromATable) {
  for (int i = 0; i < 4; ++i) put_image(fmt::format("{}.png", i), i);
  const std::string table = folder_ / "labels.csv";
  write_raw(table, "id,breed\n0,\"dog, big\"\n1.png,cat\n2,cat\ngone.png,cat\n");
  const ImportedImages imported = import({.labels = table});
  EXPECT_THAT(imported.classes, ElementsAre("cat", "dog, big"));
  EXPECT_THAT(imported.parts[0].of_class, ElementsAre(2, 1));
  ASSERT_THAT(imported.unusable, SizeIs(1));
  EXPECT_THAT(imported.unusable[0].reason, HasSubstr("there is no such file"));
  EXPECT_THAT(open_dataset({{out()}, "/train/x", "/train/y"}, {})->class_names(),
              ElementsAre("cat", "dog, big"));
  write_raw(table, "0,10\n1.png,9\n2,9\n");
  EXPECT_THAT(import({.labels = table}).classes, ElementsAre("9", "10"));
  std::vector<int32_t> numbers(3);
  hdf5::File::open(out()).dataset("/train/y").read(DType::i32, numbers.data());
  EXPECT_THAT(numbers, UnorderedElementsAre(9, 9, 10));
}

TEST_F(ImportImages, TakesNumbersToPredictFromATable) {
  for (int i = 0; i < 3; ++i) put_image(fmt::format("{}.png", i), 7 * i);
  const std::string table = folder_ / "labels.csv";
  write_raw(table, "file,width,height\n0,0.5,-1e3\n1,1.5,7\n2,2.5,8\n");
  EXPECT_THAT(import({.labels = table, .values = true}).classes, IsEmpty());
  EXPECT_THAT(extents("/train/y"), ElementsAre(3, 2));
  std::vector<float> values(6);
  hdf5::File::open(out()).dataset("/train/y").read(DType::f32, values.data());
  const std::vector<uint8_t> x = pixels();
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(values[2 * i], static_cast<float>(x[i * 24] / 7) + 0.5F);
  write_raw(table, "0,0.5\n1,1.5\n2,0\n");
  import({.labels = table, .values = true});
  EXPECT_THAT(extents("/train/y"), ElementsAre(3));
}

TEST_F(ImportImages, NamesTheLineOfAWrongTable) {
  put_image("0.png", 1);
  const std::string table = folder_ / "labels.csv";
  const auto error = [&](const std::string& text, bool values = false) {
    write_raw(table, text);
    return import_error({.labels = table, .values = values});
  };
  EXPECT_THAT(error("0.png,a\n0,b\n"), HasSubstr("lines 1 and 2 both name 0.png"));
  EXPECT_THAT(error("0.png,a,b\n"), AllOf(HasSubstr("line 1 has 3 columns"), HasSubstr("add --values")));
  EXPECT_THAT(error("file\n0.png\n"), HasSubstr("line 2 has 1 columns; there must be two"));
  EXPECT_THAT(error("0.png,\n"), HasSubstr("0.png has no class"));
  EXPECT_THAT(error("0.png,x\n", true), HasSubstr("line 1: 'x' is not a number"));
  EXPECT_THAT(error("0.png,nan\n", true), HasSubstr("'nan' is not a number"));
  EXPECT_THAT(error("f,v\n0.png,1,2\n", true), HasSubstr("line 2 has 3 columns, and those before have 2"));
  EXPECT_THAT(error("a.png,x\nb.png,y\n"), HasSubstr("it names no file in"));
}

TEST_F(ImportImages, KeepsNamesThatAreTooLongForAnEnumeration) {
  std::vector<std::string> names;
  for (int i = 0; i < 320; ++i) {
    names.push_back(fmt::format("{:03}{}", i, std::string(200, 'x')));
    put_image(names.back() + "/1.png", i % 256);
  }
  import();
  const auto data = open_dataset({{out()}, "/train/x", "/train/y"}, {.classes = 320});
  EXPECT_EQ(data->class_names(), names);
  const std::vector<uint8_t> values = pixels();
  for (size_t i = 0; i < 320; ++i) EXPECT_EQ(data->label(static_cast<int64_t>(i)) % 256, values[i * 24]) << i;
}

#endif

}  // namespace
}  // namespace lockstep
