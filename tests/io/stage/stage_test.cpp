#include "io/stage/stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "io/dataset/dataset.h"
#include "io/file/staged_copies.h"
#include "io/stage/piecewise_copy.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/io/hdf5/source_files.h"
#include "tests/io/limited_disk.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kPiece = PiecewiseCopy::kPieceBytes;

class Staging : public testing::Test {
 protected:
  /// A file of this many bytes, each of which depends on its place and on `seed`.
  std::string make_file(const std::string& name, int64_t bytes, int64_t seed = 0) {
    std::string text(static_cast<size_t>(bytes), '\0');
    for (int64_t i = 0; i < bytes; ++i)
      text[static_cast<size_t>(i)] = static_cast<char>((i * 7 + i / 1000 + seed) & 0xff);
    write_raw(work / name, text);
    return work / name;
  }
  StageResult stage(const std::vector<std::string>& files) { return stage_files(files, {.folder = local}); }
  /// The bytes of a finished copy.
  std::string copied(const std::string& file) {
    const auto copy = staged_copy(file, local);
    return copy ? content_of(*copy) : "no copy";
  }

  const TemporaryFolder work;
  const std::string local = work / "local";
};

TEST_F(Staging, CopiesFilesOfOneNameInDifferentFolders) {
  fs::create_directories(work / "a");
  fs::create_directories(work / "b");
  const std::string one = make_file("a/x.h5", 2 * kPiece + 17), other = make_file("b/x.h5", 1000, 5),
                    empty = make_file("empty.h5", 0);
  int64_t last = 0;
  const StageResult result = stage_files(
      {one, other, empty}, {.folder = local, .threads = 3, .progress = [&](int64_t done, int64_t all) {
                              EXPECT_GT(done, last);
                              EXPECT_EQ(all, 2 * kPiece + 1017);
                              last = done;
                            }});
  EXPECT_EQ(result.bytes, 2 * kPiece + 1017);
  EXPECT_EQ(result.copied, result.bytes);
  EXPECT_EQ(last, result.bytes);
  EXPECT_TRUE(copied(one) == content_of(one));
  EXPECT_TRUE(copied(other) == content_of(other));
  EXPECT_EQ(copied(empty), "");
  for (const auto& entry : fs::directory_iterator(local))
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr(".part")));
}

TEST_F(Staging, KeepsAFinishedCopyUntilOneOfTheTwoFilesChanges) {
  const std::string file = make_file("x.h5", 5000);
  EXPECT_EQ(stage({file}).copied, 5000);
  EXPECT_EQ(stage({file}).copied, 0);
  // The original: the same size, another time.
  make_file("x.h5", 5000, 1);
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(staged_copy(file, local), std::nullopt);
  EXPECT_EQ(stage({file}).copied, 5000);
  EXPECT_TRUE(copied(file) == content_of(file));
  // The copy.
  const std::string copy = *staged_copy(file, local);
  write_raw(copy, std::string(5000, 'x'));
  fs::last_write_time(copy, fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(staged_copy(file, local), std::nullopt);
  EXPECT_EQ(stage({file}).copied, 5000);
  EXPECT_TRUE(copied(file) == content_of(file));
  // The record.
  write_raw(copy + ".json", "{");
  EXPECT_EQ(staged_copy(file, local), std::nullopt);
  EXPECT_EQ(stage({file}).copied, 5000);
}

TEST_F(Staging, ContinuesAnInterruptedCopyWithThePiecesThatAreWhole) {
  const std::string file = make_file("x.h5", 3 * kPiece + 5);
  const std::string copy = [&] {
    stage({file});
    return *staged_copy(file, local);
  }();
  fs::remove(copy);
  EXPECT_EQ(PiecewiseCopy(file, copy).missing(), 3 * kPiece + 5);
  const auto interrupted = [&] {
    PiecewiseCopy partial(file, copy);
    int pieces = 0;
    EXPECT_THROW(partial.run(1,
                             [&](int64_t) {
                               if (++pieces == 2) throw std::runtime_error("killed");
                             }),
                 std::runtime_error);
  };
  interrupted();
  EXPECT_EQ(PiecewiseCopy(file, copy).missing(), kPiece + 5);
  // One of the two pieces is lost, as after a power failure.
  {
    std::fstream part(copy + ".part", std::ios::in | std::ios::out | std::ios::binary);
    part.seekp(kPiece + 3);
    part.put('\x7f');
  }
  EXPECT_EQ(PiecewiseCopy(file, copy).missing(), 2 * kPiece + 5);
  EXPECT_EQ(stage({file}).copied, 2 * kPiece + 5);
  EXPECT_TRUE(copied(file) == content_of(file));
  // Nothing is continued if the original is another one by now.
  fs::remove(copy);
  interrupted();
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_EQ(stage({file}).copied, 3 * kPiece + 5);
}

TEST_F(Staging, SaysHowMuchRoomIsMissingBeforeItCopies) {
  if (!can_mount_small_disk(work / "")) GTEST_SKIP() << "needs to mount a file system";
  const std::string file = make_file("x.h5", 3 << 20);
  fs::create_directories(local);
  EXPECT_EXIT(
      {
        if (!mount_small_disk(local, 0, "size=1m")) std::exit(1);
        exit_with_error_of([&] { stage({file}); });
      },
      testing::ExitedWithCode(static_cast<int>(ExitCode::data)),
      "local has 1.0 MiB free, but 3.0 MiB of the 3.0 MiB of data are still to be copied there. Free some space");
}

TEST_F(Staging, ADiskThatIsFullMeanwhileIsAnErrorWithBothNames) {
  const std::string file = make_file("x.h5", 2 * kPiece);
  stage_files({}, {.folder = local});
  const FileSizeLimit limit(static_cast<rlim_t>(kPiece));
  EXPECT_THAT(error_of([&] { stage({file}); }), AllOf(HasSubstr(file + ": cannot write the copy " + local),
                                                      HasSubstr("x.h5.part of it: File too "
                                                                "large. Free some space")));
  EXPECT_EQ(staged_copy(file, local), std::nullopt);
}

TEST_F(Staging, AFolderThatCannotBeMadeIsAnError) {
  make_file("x.h5", 10);
  EXPECT_THAT(error_of([&] { stage_files({work / "x.h5"}, {.folder = work / "x.h5/local"}); }),
              HasSubstr("data.stage: cannot create " + (work / "x.h5/local")));
}

TEST_F(Staging, OnlyTheFolderItselfIsMade) {
  make_file("x.h5", 10);
  EXPECT_THAT(error_of([&] { stage_files({work / "x.h5"}, {.folder = work / "misspelled/local"}); }),
              HasSubstr("data.stage = \"" + (work / "misspelled/local") + "\": the folder " +
                        (work / "misspelled") + " does not exist. Create it"));
  EXPECT_FALSE(fs::exists(work / "misspelled"));
  stage_files({work / "x.h5"}, {.folder = work / "with_slash/"});
  EXPECT_TRUE(fs::is_directory(work / "with_slash"));
}

TEST_F(Staging, TellsFilesThatNeedOthers) {
  put(work / "a.h5", "/x", {10}, counting<double>(10));
  put_virtual(work / "v.h5", "/x", 10, {{"a.h5", "/x", 0, 10}});
  put(work / "v.h5", "/y", {10}, counting<double>(10));
  EXPECT_FALSE(needs_other_files(work / "a.h5", {"/x"}));
  EXPECT_TRUE(needs_other_files(work / "v.h5", {"/y", "/x"}));
  EXPECT_FALSE(needs_other_files(work / "v.h5", {"/y"}));
}

TEST_F(Staging, AnOriginalThatChangesMeanwhileIsAnError) {
  const std::string file = make_file("x.h5", 2 * kPiece);
  EXPECT_THAT(error_of([&] {
                stage_files({file}, {.folder = local, .threads = 1, .progress = [&](int64_t, int64_t) {
                                       fs::resize_file(file, static_cast<uintmax_t>(kPiece));
                                     }});
              }),
              AllOf(HasSubstr(file + " changed while it was copied"), HasSubstr("its size went from")));
}

TEST_F(Staging, ADataSetIsReadFromTheCopyAndNamesTheOriginal) {
  const std::string file = work / "d.h5";
  put(file, "/x", {100, 4}, counting<float>(400), {{8, 4}, 3});
  const DatasetOptions streamed{.memory_budget = 0, .probe = false};
  const uint64_t fingerprint = open_dataset({{file}, "/x", ""}, streamed)->fingerprint();
  stage({file});
  const std::string copy = *staged_copy(file, local);
  read_copy_instead(file, copy);
  // Another file is there now: whoever reads the original would notice.
  write_raw(file, "no HDF5 file");
  const auto data = open_dataset({{file}, "/x", ""}, streamed);
  EXPECT_EQ(data->fingerprint(), fingerprint);
  EXPECT_EQ(all_x<float>(*data), counting<float>(400));
  EXPECT_THAT(data->describe(), AllOf(HasSubstr(file), testing::Not(HasSubstr(copy))));
  // The copy is what must not change.
  fs::last_write_time(copy, fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_THAT(error_of([&] { all_x<float>(*data); }), HasSubstr(file + " changed after it was opened"));
  read_copy_instead(file, file);
}

}  // namespace
}  // namespace lockstep
