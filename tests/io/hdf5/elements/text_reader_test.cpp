#include "io/hdf5/elements/text_reader.h"

#include <cstring>
#include <fstream>

#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<std::string> texts_of(const std::string& path, int64_t first = 0, int64_t count = -1) {
  const hdf5::File file = hdf5::File::open(path);
  const hdf5::Dataset dataset = file.dataset("/y");
  EXPECT_TRUE(hdf5::holds_text(dataset));
  hdf5::TextReader reader(dataset);
  std::vector<std::string> texts;
  reader.read(first, count < 0 ? dataset.extents()[0] - first : count,
              [&](int64_t element, std::string_view text) {
                EXPECT_EQ(element, static_cast<int64_t>(texts.size()));
                texts.emplace_back(text);
              });
  return texts;
}

std::vector<std::string> some_texts() {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i)
    texts.push_back(std::string(static_cast<size_t>(i) % 9, 'a') + std::to_string(i));
  texts[7] = "";
  texts[8] = "Größe \xff";
  texts[9] = std::string(100000, 'x');  // in a heap of its own
  return texts;
}

TEST(TextReader, ReadsTextOfVariableLengthHoweverItIsStored) {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = some_texts();
  const std::vector<hdf5::Storage> storages = {{}, {.chunk = {32}}, {.chunk = {77}, .deflate = 4}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string path = folder / (std::to_string(i) + ".h5");
    put_text(path, "/y", {300}, texts, 0, storages[i]);
    EXPECT_EQ(texts_of(path), texts) << i;
    EXPECT_EQ(texts_of(path, 150, 50), std::vector<std::string>(texts.begin() + 150, texts.begin() + 200));
  }
}

TEST(TextReader, ReadsTextOfFixedLengthWithoutItsPadding) {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = {"cat", "", "elephant", "a b"};
  for (const H5T_str_t padding : {H5T_STR_NULLPAD, H5T_STR_SPACEPAD, H5T_STR_NULLTERM}) {
    const std::string path = folder / (std::to_string(padding) + ".h5");
    put_text(path, "/y", {2, 2}, texts, padding == H5T_STR_NULLTERM ? 9 : 8, {}, padding);
    EXPECT_EQ(texts_of(path), texts) << padding;
  }
}

TEST(TextReader, ReadsBehindAUserBlock) {
  const TemporaryFolder folder;
  {
    const hdf5::Lock lock;
    const hdf5::Id properties(H5Pcreate(H5P_FILE_CREATE));
    H5Pset_userblock(properties.get(), 1024);
    const hdf5::Id file(H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, properties.get(), H5P_DEFAULT));
  }
  put_text(folder / "a.h5", "/y", {3}, {"one", "two", "three"});
  EXPECT_EQ(texts_of(folder / "a.h5"), (std::vector<std::string>{"one", "two", "three"}));
}

/// Replaces `before` by `after`, of the same length, where it first occurs in the file.
void replace_in(const std::string& path, const std::string& before, const std::string& after) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const size_t at = bytes.find(before);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, after.size(), after);
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(TextReader, NamesTheSampleOfADamagedHeap) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& before, const std::string& after) {
    const std::string path = folder / "a.h5";
    std::filesystem::remove(path);
    put_text(path, "/y", {3}, {"one", "two", "three"}, 0, {.chunk = {3}});
    replace_in(path, before, after);
    return error_of([&] { texts_of(path); });
  };
  EXPECT_THAT(error("GCOL", "GOAL"),
              AllOf(HasSubstr("a.h5:/y: the text of sample 0"), HasSubstr("no heap begins")));
  // Behind its mark, the size of the heap, 4096 bytes; then the first object: its index, a count, its size.
  const std::string mark("GCOL\1\0\0\0\0\x10", 10);
  EXPECT_THAT(error(mark, mark.substr(0, 9) + "\x70"), HasSubstr("claims 28672 bytes"));
  const std::string object("\3\0\0\0\0\0\0\0one", 11);
  EXPECT_THAT(error(object, std::string("\3\0\0\0\0\0\0\x71one", 11)),
              HasSubstr("claims 8142508126285856771 bytes"));
  EXPECT_THAT(error(object, std::string("\2\0\0\0\0\0\0\0one", 11)),
              HasSubstr("claims 3 values of 1 bytes, and the heap holds 2 bytes"));
}

TEST(TextReader, ChecksLengthsAndIndices) {
  const TemporaryFolder folder;
  const auto error = [&](size_t offset, char value) {
    const std::string path = folder / "b.h5";
    std::filesystem::remove(path);
    put_text(path, "/y", {3}, {"one", "two", "three"}, 0, {.chunk = {3}});
    int64_t address = 0;
    {
      const hdf5::File file = hdf5::File::open(path);
      address = static_cast<int64_t>(file.dataset("/y").chunk_map()->find({0}).address);
    }
    std::fstream bytes(path, std::ios::binary | std::ios::in | std::ios::out);
    bytes.seekp(address + static_cast<int64_t>(offset));
    bytes.put(value);
    bytes.close();
    return error_of([&] { texts_of(path); });
  };
  // An element: its length in 4 bytes, the address of the heap in 8, an index in 4.
  EXPECT_THAT(error(16 + 2, 1), AllOf(HasSubstr("sample 1 "), HasSubstr("claims 65539 values of 1 bytes")));
  EXPECT_THAT(error(32 + 4 + 7, 1), AllOf(HasSubstr("sample 2 "), HasSubstr("beyond the end of the file")));
  EXPECT_THAT(error(32 + 12, 99), AllOf(HasSubstr("sample 2 "), HasSubstr("refers to object 99")));
  EXPECT_EQ(error(16, 2), "no error") << "a shorter text";
}

}  // namespace
}  // namespace lockstep
