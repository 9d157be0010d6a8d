#include "io/hdf5/hdf5.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::data) << e.what();
    return e.what();
  }
  return "no error";
}

TEST(Hdf5, WritesAndReadsTypedArrays) {
  const TemporaryFolder folder;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> labels = {7, -8, 9};
  {
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    file.write("/deep/er/x", {values.data(), DType::f32, {3, 2}});
    file.write("/y", {labels.data(), DType::i32, {3}}, {{2}, 4});
    file.write("/nothing", {nullptr, DType::f32, {0, 2}});
    file.close();
  }
  const hdf5::File file = hdf5::File::open(folder / "a.h5");
  EXPECT_THAT(file.dataset_names(), ElementsAre("/deep/er/x", "/nothing", "/y"));
  const hdf5::Dataset x = file.dataset("/deep/er/x");
  EXPECT_THAT(x.extents(), ElementsAre(3, 2));
  EXPECT_EQ(x.type().exact, DType::f32);
  std::vector<double> wide(4);
  x.read_rows(1, 2, DType::f64, wide.data());
  EXPECT_THAT(wide, ElementsAre(3, 4, 5, 6));
  const hdf5::Dataset y = file.dataset("/y");
  EXPECT_THAT(y.chunk(), ElementsAre(2));
  EXPECT_EQ(y.filters().size(), 2u);
  EXPECT_EQ(y.chunks(), 2);
  std::vector<int64_t> read(3);
  y.read(DType::i64, read.data());
  EXPECT_THAT(read, ElementsAre(7, -8, 9));
}

TEST(Hdf5, SixteenBitFloatsKeepTheirBits) {
  const TemporaryFolder folder;
  const std::vector<uint16_t> halves = {0x3C00, 0xC000, 0x7BFF, 0x0001};  // 1, -2, 65504, 2^-24
  const std::vector<uint16_t> brains = {0x3F80, 0xC000};                  // 1, -2
  {
    hdf5::File file = hdf5::File::create(folder / "half.h5");
    file.write("/half", {halves.data(), DType::f16, {4}});
    file.write("/brain", {brains.data(), DType::bf16, {2}});
  }
  const hdf5::File file = hdf5::File::open(folder / "half.h5");
  EXPECT_EQ(file.dataset("/half").type().exact, DType::f16);
  EXPECT_EQ(file.dataset("/brain").type().exact, DType::bf16);
  std::vector<float> floats(4);
  file.dataset("/half").read(DType::f32, floats.data());
  EXPECT_THAT(floats, ElementsAre(1.f, -2.f, 65504.f, 0x1p-24f));
  std::vector<uint16_t> bits(2);
  file.dataset("/brain").read(DType::bf16, bits.data());
  EXPECT_EQ(bits, brains);
  floats.resize(2);
  file.dataset("/brain").read(DType::f32, floats.data());
  EXPECT_THAT(floats, ElementsAre(1.f, -2.f));
}

TEST(Hdf5, RowsAreWrittenPieceByPiece) {
  const TemporaryFolder folder;
  std::vector<uint8_t> rows = {1, 2, 3, 4};
  {
    hdf5::File file = hdf5::File::create(folder / "rows.h5");
    file.create_dataset("/g/x", DType::u8, {4, 2}, {{1, 2}, 1});
    file.write_rows("/g/x", 2, {rows.data(), DType::u8, {2, 2}});
    file.write_rows("/g/x", 0, {rows.data(), DType::u8, {1, 2}});
  }
  std::vector<uint8_t> all(8);
  hdf5::File::open(folder / "rows.h5").dataset("/g/x").read(DType::u8, all.data());
  EXPECT_THAT(all, ElementsAre(1, 2, 0, 0, 1, 2, 3, 4));
}

TEST(Hdf5, AttributesOfEveryKindAndOfAnySize) {
  const TemporaryFolder folder;
  const std::string long_text(200000, 'x');
  {
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    file.create_group("/g/h");
    file.set_attribute("/", "step", int64_t{1} << 60);
    file.set_attribute("/", "step", int64_t{42});
    file.set_attribute("/g/h", "best", 0.1);
    file.set_attribute("/", "config", long_text);
    file.set_attribute("/", "empty", std::string());
  }
  const hdf5::File file = hdf5::File::open(folder / "a.h5");
  EXPECT_EQ(file.integer_attribute("/", "step"), 42);
  EXPECT_EQ(file.real_attribute("/g/h", "best"), 0.1);
  EXPECT_EQ(file.string_attribute("/", "config"), long_text);
  EXPECT_EQ(file.string_attribute("/", "empty"), "");
  EXPECT_EQ(file.integer_attribute("/", "none"), std::nullopt);
  EXPECT_EQ(file.integer_attribute("/absent", "none"), std::nullopt);
  EXPECT_THAT(file.attribute_names("/"), ElementsAre("config", "empty", "step"));
  EXPECT_THAT(message_of([&] { file.integer_attribute("/g/h", "best"); }), HasSubstr("is not one integer"));
}

TEST(Hdf5, SaysWhatIsWrongWithAFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { hdf5::File::open(folder / "none.h5"); }), HasSubstr("does not exist"));
  EXPECT_THAT(message_of([&] { hdf5::File::open(folder.path()); }), HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { hdf5::File::open("/dev/null"); }), HasSubstr("not a regular file"));
  std::ofstream(folder / "empty.h5").flush();
  EXPECT_THAT(message_of([&] { hdf5::File::open(folder / "empty.h5"); }), HasSubstr("is empty (0 bytes)"));
  std::ofstream(folder / "text.h5") << "hello, I am a text";
  EXPECT_THAT(message_of([&] { hdf5::File::open(folder / "text.h5"); }), HasSubstr("is not an HDF5 file"));
  const std::vector<double> values(10000, 1.0);
  {
    hdf5::File file = hdf5::File::create(folder / "whole.h5");
    file.write("/x", {values.data(), DType::f64, {10000}});
    file.create_group("/g");
  }
  std::filesystem::copy_file(folder / "whole.h5", folder / "cut.h5");
  std::filesystem::resize_file(folder / "cut.h5", 5000);
  EXPECT_THAT(message_of([&] { hdf5::File::open(folder / "cut.h5"); }), HasSubstr("is truncated"));
  const hdf5::File file = hdf5::File::open(folder / "whole.h5");
  EXPECT_THAT(message_of([&] { file.dataset("/g/y"); }),
              HasSubstr("has no data set /g/y. It has: /x (10000)."));
  EXPECT_THAT(message_of([&] { file.dataset("/g"); }), HasSubstr("/g is a group"));
  EXPECT_THAT(message_of([&] { hdf5::File::create(folder / "no/such/a.h5"); }),
              HasSubstr("No such file or directory"));
}

TEST(Hdf5, PrintsNothingItselfInAnyThread) {
  testing::internal::CaptureStderr();
  std::thread([] {
    const hdf5::Lock lock;
    EXPECT_LT(H5Dget_type(H5I_INVALID_HID), 0);
  }).join();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Hdf5, SaysThatAFileMayNotBeRead) {
  const TemporaryFolder folder;
  { hdf5::File::create(folder / "secret.h5"); }
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  std::filesystem::permissions(folder / "secret.h5", std::filesystem::perms::none);
  // Permissions mean nothing to root.
  const bool root = geteuid() == 0;
  ASSERT_TRUE(!root || seteuid(65534) == 0);
  const std::string message = message_of([&] { hdf5::File::open(folder / "secret.h5"); });
  ASSERT_TRUE(!root || seteuid(0) == 0);
  EXPECT_THAT(message, HasSubstr("secret.h5 cannot be read: Permission denied."));
}

}  // namespace
}  // namespace lockstep
