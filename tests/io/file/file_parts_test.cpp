#include "io/file/file_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "io/file/read_at.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

TEST(FileParts, AreReadAsIfTheyWereOneFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "digits") << "0123456789";
  std::ofstream(folder / "letters") << "abcdefgh";
  FileParts parts;
  EXPECT_EQ(parts.bytes(), 0u);
  ASSERT_TRUE(parts.append(folder / "digits", 2, 5));
  ASSERT_TRUE(parts.append(folder / "letters", 0, 1));
  ASSERT_TRUE(parts.append(folder / "digits", 9, 1));
  ASSERT_TRUE(parts.append(folder / "letters", 3, 4));
  EXPECT_FALSE(parts.append(folder / "none", 0, 4));
  EXPECT_FALSE(parts.append(folder.path(), 0, 4));
  const std::string all = "23456a9defg";
  ASSERT_EQ(parts.bytes(), all.size());
  for (size_t first = 0; first <= all.size(); ++first) {
    for (size_t count = 0; count <= all.size() - first; ++count) {
      // In pieces of 3 bytes.
      std::string found(count, '?');
      std::vector<iovec> pieces;
      for (size_t at = 0; at < count; at += 3)
        pieces.push_back({found.data() + at, std::min<size_t>(3, count - at)});
      EXPECT_EQ(parts.read(first, pieces), "");
      EXPECT_EQ(found, all.substr(first, count));
      parts.ask_for(first, count);
      found.assign(count, '?');
      EXPECT_EQ(parts.read(first, std::as_writable_bytes(std::span(found))), "");
      EXPECT_EQ(found, all.substr(first, count));
    }
  }
  std::string beyond(2, '?');
  EXPECT_EQ(parts.read(10, std::as_writable_bytes(std::span(beyond))), kFileEndsEarly);
  EXPECT_EQ(parts.describe(8), "byte 4 of " + (folder / "letters"));
  EXPECT_EQ(parts.describe(11), "byte 11 of its values");
}

TEST(FileParts, AFileThatIsShorterThanItsPartEndsEarly) {
  const TemporaryFolder folder;
  std::ofstream(folder / "digits") << "0123456789";
  FileParts parts;
  ASSERT_TRUE(parts.append(folder / "digits", 4, 8));
  std::string found(8, '?');
  EXPECT_EQ(parts.read(0, std::as_writable_bytes(std::span(found))), kFileEndsEarly);
}

}  // namespace
}  // namespace lockstep
