#include "io/file/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "src/core/error.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const TemporaryFolder folder;
  const std::string path = folder / "note";
  write_text_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write(std::as_bytes(std::span("new", 3)));
    EXPECT_EQ(content_of(path), "old");
    file.commit();
    EXPECT_EQ(content_of(path), "new");
  }
  { AtomicFile abandoned(path); }
  EXPECT_EQ(content_of(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, NamesTheReasonWhenItsFolderIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "no/such/file", "x"); }),
              AllOf(HasSubstr("no/such/file"), HasSubstr("No such file or directory")));
}

TEST(AtomicFile, NeverReplacesAFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "taken/by");
  EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "taken", "x"); }),
              HasSubstr("taken: cannot rename"));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, KeepsTheOldFileWhenTheNewOneMayNotGrow) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "note", "old");
  const FileSizeLimit limit(4096);
  EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "note", std::string(10000, 'x')); }),
              AllOf(HasSubstr("File too large"), HasSubstr("ulimit -f")));
  EXPECT_EQ(content_of(folder / "note"), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFileDeathTest, SaysThatTheDiskIsFullAndKeepsTheOldFile) {
  const TemporaryFolder folder;
  if (!can_mount_small_disk(folder.path()))
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  EXPECT_EXIT(exit_with_error_of([&] {
                if (!mount_small_disk(folder.path(), 0, "size=64k")) std::exit(99);
                write_text_atomically(folder / "note", "old");
                try {
                  write_text_atomically(folder / "note", std::string(200000, 'x'));
                } catch (const Error&) {
                  if (content_of(folder / "note") != "old" || files_in(folder.path()) != 1) std::exit(98);
                  throw;
                }
              }),
              testing::ExitedWithCode(3), "note: cannot write the file: No space left on device");
}

TEST(AtomicFileDeathTest, SaysThatTheFileSystemIsReadOnly) {
  const TemporaryFolder folder;
  if (!can_mount_small_disk(folder.path()))
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  EXPECT_EXIT(exit_with_error_of([&] {
                if (!mount_small_disk(folder.path(), MS_RDONLY, "size=64k")) std::exit(99);
                write_text_atomically(folder / "note", "x");
              }),
              testing::ExitedWithCode(3), "note: cannot create the file: Read-only file system");
}

TEST(AtomicFile, SaysThatPermissionIsMissing) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(),
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "note", "x"); }),
              HasSubstr("Permission denied"));
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace lockstep
