#include "io/import/import_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "io/hdf5/hdf5.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ImportText : public testing::Test {
 protected:
  ImportedText import(const std::string& text, const ImportTextOptions& options) {
    write_raw(source(), text);
    return import_text(source(), out(), options);
  }
  std::string import_error(const std::string& text, const ImportTextOptions& options) {
    const std::string message = data_error_of([&] { import(text, options); });
    EXPECT_FALSE(std::filesystem::exists(out()));
    return message;
  }
  std::vector<int32_t> read(const std::string& name) const {
    const hdf5::Dataset dataset = hdf5::File::open(out()).dataset(name);
    std::vector<int32_t> values(static_cast<size_t>(dataset.elements()));
    dataset.read(DType::i32, values.data());
    return values;
  }
  std::string source() const { return folder_ / "text.txt"; }
  std::string out() const { return folder_ / "out.h5"; }
  TemporaryFolder folder_;
};

TEST_F(ImportText, BytesAreIdsAndTheEndIsHeldOut) {
  const ImportedText imported = import("hello w\xFFrld", {.test = 0.25});
  EXPECT_EQ(imported.train, 8);
  EXPECT_EQ(imported.test, 3);
  EXPECT_EQ(imported.vocabulary, 256);
  EXPECT_THAT(read("/train/x"), ElementsAre('h', 'e', 'l', 'l', 'o', ' ', 'w', 255));
  EXPECT_THAT(read("/test/x"), ElementsAre('r', 'l', 'd'));
  const hdf5::File file = hdf5::File::open(out());
  EXPECT_EQ(file.dataset("/train/x").type().exact, DType::u8);
  EXPECT_FALSE(file.contains("/vocabulary"));
}

TEST_F(ImportText, CharactersAreNumberedInTheOrderOfTheirCodePoints) {
  // a, e acute, euro, grinning face.
  const ImportedText imported = import(
      "a\xC3\xA9"
      "a\xE2\x82\xAC\xF0\x9F\x98\x80"
      "a",
      {.characters = true, .test = 0});
  EXPECT_EQ(imported.vocabulary, 4);
  EXPECT_EQ(imported.test, 0);
  EXPECT_THAT(read("/train/x"), ElementsAre(0, 1, 0, 2, 3, 0));
  EXPECT_THAT(read("/vocabulary"), ElementsAre(0x61, 0xE9, 0x20AC, 0x1F600));
  EXPECT_FALSE(hdf5::File::open(out()).contains("/test/x"));
}

TEST_F(ImportText, ManyCharactersNeedMoreThanAByte) {
  std::string text;
  for (int point = 0x100; point < 0x300; ++point) {
    text += static_cast<char>(0xC0 | point >> 6);
    text += static_cast<char>(0x80 | (point & 0x3F));
  }
  EXPECT_EQ(import(text, {.characters = true, .test = 0}).vocabulary, 512);
  EXPECT_EQ(read("/train/x").back(), 511);
  EXPECT_EQ(hdf5::File::open(out()).dataset("/train/x").type().exact, DType::i32);
}

TEST_F(ImportText, SaysWhereAFileIsNotUtf8) {
  // A lone continuation, a cut sequence, an overlong one, a surrogate, beyond the last code point.
  for (const char* wrong : {"\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82z"})
    EXPECT_THAT(import_error(std::string("abc") + wrong, {.characters = true}),
                AllOf(HasSubstr("text.txt"), HasSubstr("the byte at offset 3"), HasSubstr("--characters")))
        << wrong;
}

TEST_F(ImportText, RefusesWhatGivesNoTokens) {
  EXPECT_THAT(import_error("", {}), HasSubstr("the file is empty"));
  std::filesystem::remove(source());
  EXPECT_THAT(data_error_of([&] { import_text(source(), out(), {}); }),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(data_error_of([&] { import_text(folder_.path(), out(), {}); }), HasSubstr("cannot read it"));
  EXPECT_THAT(error_of([&] { import("abc", {.test = 0.1}); }, ExitCode::usage),
              HasSubstr("--test 0.1: of 3 tokens that is 0"));
}

TEST(ImportTextReal, ReadsTinyShakespeare) {
  const std::string source = LOCKSTEP_SHARED_DATA "/text/tinyshakespeare.txt";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
  const TemporaryFolder folder;
  const ImportedText imported = import_text(source, folder / "out.h5", {.characters = true});
  EXPECT_EQ(imported.vocabulary, 65);
  EXPECT_EQ(imported.train + imported.test, 1115394);
  const auto data = open_dataset({{folder / "out.h5"}, "/test/x", ""},
                                 {.task = TargetTask::tokens, .classes = 65, .context = 64});
  EXPECT_EQ(data->size(), (imported.test - 1) / 64);
}

}  // namespace
}  // namespace lockstep
