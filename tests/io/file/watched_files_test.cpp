#include "io/file/watched_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/io/hdf5/source_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

void set_time(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

/// What a file's watcher says after `change`.
std::string said_after(const std::function<void(const std::string& path)>& change) {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  std::ofstream(path) << "abcd";
  set_time(path, 1'000'000);
  const WatchedFiles files({path});
  files.require_unchanged();
  change(path);
  const std::string error = error_of([&] { files.require_unchanged(); });
  EXPECT_THAT(error, HasSubstr(path + " changed after it was opened"));
  return error;
}

TEST(WatchedFiles, SayWhatChanged) {
  EXPECT_THAT(said_after([](const std::string& path) { fs::resize_file(path, 1); }),
              HasSubstr("its size went from 4 to 1 bytes"));
  EXPECT_THAT(said_after([](const std::string& path) { set_time(path, 2'000'000); }),
              HasSubstr("it was written to"));
  EXPECT_THAT(said_after([](const std::string& path) { fs::remove(path); }),
              HasSubstr("it no longer exists"));
  EXPECT_THAT(said_after([](const std::string& path) {
                std::ofstream(path + "2") << "abcd";
                fs::rename(path + "2", path);
              }),
              HasSubstr("another file took its place"));
}

TEST(WatchedFiles, AllOfManyAreLookedAtInTurn) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (int i = 0; i < 200; ++i) {
    paths.push_back(folder / std::to_string(i));
    std::ofstream(paths.back()) << "abcd";
  }
  const WatchedFiles files(paths);
  fs::resize_file(paths.back(), 1);
  EXPECT_THAT(error_of([&] {
                for (int i = 0; i < 200; ++i) files.require_unchanged();
              }),
              HasSubstr("/199 changed"));
}

/// Streams x, changes something after the first read, and returns what the second one says.
std::string said_by_stream(const TemporaryFolder& folder, const std::string& file,
                           const std::function<void()>& change) {
  const auto data = open_dataset({{folder / file}, "/x", ""}, {.memory_budget = 64});
  EXPECT_FALSE(data->in_memory());
  double value = 0;
  const int64_t first = 0, last = data->size() - 1;
  data->read({&first, 1}, reinterpret_cast<std::byte*>(&value), nullptr);
  EXPECT_EQ(value, 0);
  change();
  return error_of([&] { data->read({&last, 1}, reinterpret_cast<std::byte*>(&value), nullptr); });
}

TEST(WatchedFiles, AStreamedFileThatIsCutShortOrRewrittenEndsTheTraining) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/x", {1000}, counting<double>(1000));
  set_time(path, 1'000'000);
  EXPECT_THAT(
      said_by_stream(
          folder, "a.h5",
          [&] {
            std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(-8, std::ios::end)
                << "rewrite!";
          }),
      HasSubstr("a.h5 changed after it was opened: it was written to."));
  EXPECT_THAT(
      said_by_stream(folder, "a.h5", [&] { fs::resize_file(path, 5000); }),
      AllOf(HasSubstr("a.h5 changed after it was opened: its size went from"), HasSubstr("to 5000 bytes")));
}

TEST(WatchedFiles, AStreamedFileThatGrowsOrIsReplacedEndsTheTraining) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/x", {1000}, counting<double>(1000));
  EXPECT_THAT(said_by_stream(folder, "a.h5",
                             [&] { std::ofstream(path, std::ios::app | std::ios::binary) << "more"; }),
              HasSubstr("a.h5 changed after it was opened: its size went from"));
  fs::remove(path);
  put(path, "/x", {1000}, counting<double>(1000));
  EXPECT_THAT(said_by_stream(folder, "a.h5",
                             [&] {
                               fs::copy_file(path, folder / "b.h5");
                               fs::rename(folder / "b.h5", path);
                             }),
              HasSubstr("a.h5 changed after it was opened: another file took its place."));
}

TEST(WatchedFiles, AFileThatCannotBeReadBecauseItChangedIsNotCalledDamaged) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {10000}, counting<double>(10000), {{1000}, 4});
  EXPECT_THAT(said_by_stream(folder, "a.h5", [&] { fs::resize_file(folder / "a.h5", 3000); }),
              HasSubstr("a.h5 changed after it was opened: its size went from"));
}

TEST(WatchedFiles, TheSourcesOfAVirtualDataSetAndRawFilesAreWatchedToo) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {500}, counting<double>(500));
  put(folder / "b.h5", "/x", {500}, counting<double>(500));
  put_virtual(folder / "v.h5", "/x", 1000, {{"a.h5", "/x", 0, 500}, {"b.h5", "/x", 500, 500}});
  EXPECT_THAT(said_by_stream(folder, "v.h5", [&] { fs::remove(folder / "b.h5"); }),
              HasSubstr("b.h5 changed after it was opened: it no longer exists."));
}

}  // namespace
}  // namespace lockstep
