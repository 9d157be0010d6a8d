#include "io/hdf5/sources/sources.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/probe/inspect.h"
#include "io/probe/probe.h"
#include "tests/io/hdf5/source_files.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
namespace fs = std::filesystem;

/// Opens /x of a file as training does, with and without the look in a child process, which must agree.
std::string error_of_opening(const std::string& path) {
  const std::string in_child = error_of([&] { probe_files({path}, {"/x"}); });
  EXPECT_EQ(error_of([&] { open_dataset({{path}, "/x", ""}, {.probe = false}); }), in_child);
  return in_child;
}

std::vector<double> values_of(const std::string& path) {
  return all_x<double>(*open_dataset({{path}, "/x", ""}, {}));
}

/// Two sources of three rows, a.h5 and b.h5, and v.h5, which joins them.
void put_pair(const TemporaryFolder& folder) {
  put(folder / "a.h5", "/x", {3}, std::vector<double>{1, 2, 3});
  put(folder / "b.h5", "/x", {3}, std::vector<double>{4, 5, 6});
  put_virtual(folder / "v.h5", "/x", 6, {{"a.h5", "/x", 0, 3}, {"b.h5", "/x", 3, 3}});
}

TEST(Sources, AVirtualDataSetFindsItsSourcesBesideItself) {
  const TemporaryFolder folder;
  put_pair(folder);
  EXPECT_THAT(values_of(folder / "v.h5"), ElementsAre(1, 2, 3, 4, 5, 6));
  const hdf5::File file = hdf5::File::open(folder / "v.h5");
  EXPECT_THAT(hdf5::require_sources(file.dataset("/x")).files,
              ElementsAre(folder / "v.h5", folder / "a.h5", folder / "b.h5"));
}

TEST(Sources, AMissingSourceIsNamedInFullWithItsRowsAndARemedyThatWorks) {
  const TemporaryFolder folder;
  put_pair(folder);
  fs::create_directory(folder / "elsewhere");
  fs::rename(folder / "b.h5", folder / "elsewhere/b.h5");
  EXPECT_THAT(error_of_opening(folder / "v.h5"),
              AllOf(HasSubstr("v.h5:/x takes its rows 3 to 5 from /x of b.h5, but " + (folder / "b.h5") +
                              " does not exist"),
                    HasSubstr("set HDF5_VDS_PREFIX to the folder that holds it.")));
  setenv("HDF5_VDS_PREFIX", (folder / "elsewhere").c_str(), 1);
  EXPECT_THAT(values_of(folder / "v.h5"), ElementsAre(1, 2, 3, 4, 5, 6));
  unsetenv("HDF5_VDS_PREFIX");
}

TEST(Sources, ASourceThatCannotServeSaysWhy) {
  const TemporaryFolder folder;
  put_pair(folder);
  std::ofstream(folder / "b.h5") << "no HDF5";
  EXPECT_THAT(error_of_opening(folder / "v.h5"), HasSubstr("b.h5 is not an HDF5 file"));
  fs::remove(folder / "b.h5");
  put(folder / "b.h5", "/z", {3}, std::vector<double>{4, 5, 6});
  EXPECT_THAT(error_of_opening(folder / "v.h5"), HasSubstr("b.h5 has no data set /x. It has: /z (3)."));
  fs::remove(folder / "b.h5");
  put(folder / "b.h5", "/x", {2}, std::vector<double>{4, 5});
  EXPECT_THAT(error_of_opening(folder / "v.h5"),
              HasSubstr("takes its rows 3 to 5 from /x of b.h5, but the shape of that data set is (2)"));
}

TEST(Sources, InfoListsAndCheckRefusesADataSetThatLacksASource) {
  const TemporaryFolder folder;
  put_pair(folder);
  put(folder / "v.h5", "/y", {6}, counting<int64_t>(6));
  fs::remove(folder / "a.h5");
  const FileDescription description = describe_file(folder / "v.h5");
  ASSERT_THAT(description.datasets, SizeIs(2));
  EXPECT_FALSE(description.datasets[0].usable);
  EXPECT_THAT(description.datasets[0].problem, HasSubstr("a.h5 does not exist"));
  EXPECT_TRUE(description.datasets[1].usable);
  const FileCheck check = check_file(folder / "v.h5");
  ASSERT_THAT(check.problems, SizeIs(1));
  EXPECT_THAT(check.problems[0], HasSubstr("a.h5 does not exist"));
}

TEST(Sources, SourcesOfSourcesAreFollowedAndACircleIsRefused) {
  const TemporaryFolder folder;
  put_pair(folder);
  put_virtual(folder / "w.h5", "/x", 6, {{"v.h5", "/x", 0, 6}});
  EXPECT_THAT(values_of(folder / "w.h5"), ElementsAre(1, 2, 3, 4, 5, 6));
  fs::remove(folder / "a.h5");
  EXPECT_THAT(error_of_opening(folder / "w.h5"), HasSubstr("a.h5 does not exist"));
  put_virtual(folder / "circle.h5", "/x", 6, {{"circle.h5", "/x", 0, 6}});
  EXPECT_THAT(error_of_opening(folder / "circle.h5"), HasSubstr("contain themselves"));
}

TEST(Sources, ASourceThatAnotherProcessHasLockedIsRead) {
  const TemporaryFolder folder;
  put_pair(folder);
  const int held = open((folder / "b.h5").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(held, LOCK_EX), 0);
  EXPECT_THAT(values_of(folder / "v.h5"), ElementsAre(1, 2, 3, 4, 5, 6));
  const ProgramResult info = run_program({lockstep_binary(), "data", "info", "v.h5"}, folder.path());
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(info.out, AllOf(HasSubstr("b.h5 is open for writing in another process ("),
                              HasSubstr(std::to_string(getpid()) + ")")));
  // Who asks for locks is told of the lock, and not of damage.
  const ProgramResult locked = run_program(
      {"env", "HDF5_USE_FILE_LOCKING=TRUE", lockstep_binary(), "data", "check", "v.h5"}, folder.path());
  EXPECT_EQ(locked.exit_code, 3);
  EXPECT_THAT(locked.err, AllOf(HasSubstr("b.h5 is locked by another process"),
                                HasSubstr("HDF5_USE_FILE_LOCKING"), Not(HasSubstr("damaged"))));
  close(held);
}

TEST(Sources, RowsThatNoSourceIsMappedToAreCounted) {
  const TemporaryFolder folder;
  put_pair(folder);
  put_virtual(folder / "holes.h5", "/x", 10, {{"a.h5", "/x", 1, 3}, {"b.h5", "/x", 6, 3}});
  EXPECT_THAT(
      probe_files({folder / "holes.h5"}, {"/x"}),
      ElementsAre(HasSubstr("holes.h5:/x: 4 of its 10 rows, between row 0 and 9, lie wholly or partly where "
                            "no source is mapped to")));
  EXPECT_THAT(probe_files({folder / "v.h5"}, {"/x"}), IsEmpty());
}

TEST(Sources, ANumberedSeriesThatLacksASourceIsNotShorterInSilence) {
  const TemporaryFolder folder;
  for (int i = 0; i < 4; ++i)
    put(folder / fmt::format("s-{}.h5", i), "/x", {2}, std::vector<double>(2, i + 1));
  put_numbered(folder / "v.h5", "/x", 8, 2);
  EXPECT_THAT(values_of(folder / "v.h5"), ElementsAre(1, 1, 2, 2, 3, 3, 4, 4));
  EXPECT_THAT(probe_files({folder / "v.h5"}, {"/x"}), IsEmpty());
  fs::rename(folder / "s-3.h5", folder / "gone.h5");
  EXPECT_THAT(error_of_opening(folder / "v.h5"),
              AllOf(HasSubstr("was written with 8 rows and now has 6"), HasSubstr("s-3.h5 does not exist")));
  fs::rename(folder / "gone.h5", folder / "s-3.h5");
  fs::remove(folder / "s-1.h5");
  EXPECT_THAT(error_of_opening(folder / "v.h5"),
              AllOf(HasSubstr("s-1.h5, which does not exist although"), HasSubstr("s-2.h5 does.")));
}

TEST(Sources, ANumberedSeriesThatGrewSaysWhatCannotBeSeen) {
  const TemporaryFolder folder;
  for (int i = 0; i < 3; ++i)
    put(folder / fmt::format("s-{}.h5", i), "/x", {2}, std::vector<double>(2, i + 1));
  put_numbered(folder / "v.h5", "/x", 2, 2);
  EXPECT_THAT(probe_files({folder / "v.h5"}, {"/x"}),
              ElementsAre(AllOf(HasSubstr("joins 3 sources"), HasSubstr("s-3.h5, which does not exist"))));
}

TEST(Sources, ASourceThatIsShorterThanTheOthersIsSaid) {
  const TemporaryFolder folder;
  for (const auto& [name, rows] : {std::pair("a.h5", 6), std::pair("b.h5", 4)}) {
    hdf5::File::create(folder / name).create_dataset("/x", DType::f64, {rows}, {{2}, 0});
    const hdf5::File file = hdf5::File::open_for_writing(folder / name);
    const std::vector<double> ones(static_cast<size_t>(rows), 1);
    const hdf5::Dataset dataset = file.dataset("/x");
    H5Dwrite(dataset.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, ones.data());
  }
  put_columns(folder / "v.h5", "/x", {"a.h5", "b.h5"});
  const std::vector<double> values = values_of(folder / "v.h5");
  EXPECT_THAT(values, ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0));
  EXPECT_THAT(probe_files({folder / "v.h5"}, {"/x"}),
              ElementsAre(AllOf(HasSubstr("from /x of b.h5, which is shorter than its other sources"),
                                HasSubstr("rows 4 to 5 read as the fill value"))));
}

TEST(Sources, MoreSourcesThanAProcessMayOpenAreNotReadAsFillValues) {
  const TemporaryFolder folder;
  std::vector<VirtualPart> parts;
  for (int i = 0; i < 40; ++i) {
    const std::string name = fmt::format("s{}.h5", i);
    put(folder / name, "/x", {1}, std::vector<double>{1});
    parts.push_back({name, "/x", i, 1});
  }
  put_virtual(folder / "v.h5", "/x", 40, parts);
  const std::string check = lockstep_binary() + " data check v.h5";
  const ProgramResult raised = run_program({"sh", "-c", "ulimit -S -n 32 && " + check}, folder.path());
  EXPECT_EQ(raised.exit_code, 0) << raised.err;
  EXPECT_THAT(raised.out, HasSubstr("1"));
  const ProgramResult refused = run_program({"sh", "-c", "ulimit -n 40 && " + check}, folder.path());
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("values in 41 files"), HasSubstr("ulimit -n ")));
}

TEST(Sources, ARawFileIsFoundBesideTheFileOrInTheCurrentFolderOrWhereThePrefixSays) {
  const TemporaryFolder folder;
  for (const char* place : {"beside", "current", "prefix"}) {
    fs::create_directory(folder / place);
    std::ofstream(folder / place + "/x.raw") << "abcd";
  }
  put_external(folder / "beside/e.h5", "/x", 4, {"x.raw"}, 4);
  EXPECT_THAT(all_x<uint8_t>(*open_dataset({{folder / "beside/e.h5"}, "/x", ""}, {})),
              ElementsAre('a', 'b', 'c', 'd'));
  fs::create_directory(folder / "other");
  put_external(folder / "other/e.h5", "/x", 4, {"x.raw"}, 4);
  EXPECT_THAT(error_of_opening(folder / "other/e.h5"),
              AllOf(HasSubstr("other/e.h5:/x has its values in the raw file " + (folder / "other/x.raw") +
                              ", which does not exist"),
                    HasSubstr("HDF5_EXTFILE_PREFIX")));
  const std::vector<std::string> check = {lockstep_binary(), "data", "check", folder / "other/e.h5"};
  EXPECT_EQ(run_program(check, folder / "current").exit_code, 0);
  std::vector<std::string> prefixed = {"env", "HDF5_EXTFILE_PREFIX=" + (folder / "prefix")};
  prefixed.insert(prefixed.end(), check.begin(), check.end());
  EXPECT_EQ(run_program(prefixed, folder.path()).exit_code, 0);
}

TEST(Sources, RawFilesOfASourceAreFoundWhereTheVariableSays) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "raw");
  std::ofstream(folder / "raw/x.raw") << "abcd";
  put_external(folder / "raw/e.h5", "/x", 4, {"x.raw"}, 4);
  put_virtual(folder / "v.h5", "/x", 4, {{"raw/e.h5", "/x", 0, 4}});
  EXPECT_THAT(
      error_of_opening(folder / "v.h5"),
      HasSubstr("x.raw, which does not exist. Copy it there, or set HDF5_EXTFILE_PREFIX to '${ORIGIN}'"));
  const ProgramResult check = run_program(
      {"env", "HDF5_EXTFILE_PREFIX=${ORIGIN}", lockstep_binary(), "data", "check", "v.h5"}, folder.path());
  EXPECT_EQ(check.exit_code, 0) << check.err;
}

TEST(Sources, AShortRawFileSaysWhichRowsAreMissing) {
  const TemporaryFolder folder;
  std::ofstream(folder / "one.raw") << "abcd";
  std::ofstream(folder / "two.raw") << "e";
  put_external(folder / "e.h5", "/x", 8, {"one.raw", "two.raw"}, 4);
  EXPECT_THAT(error_of_opening(folder / "e.h5"),
              AllOf(HasSubstr("two.raw, which ends too early: it holds 1 of 4 bytes"),
                    HasSubstr("rows 5 to 7 (3 of 8) are missing")));
}

TEST(Sources, ChunksThatWereNeverWrittenAreCounted) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    hdf5::File file = hdf5::File::create(path);
    file.create_dataset("/x", DType::f32, {10, 4}, {{2, 2}, 0});
    file.create_dataset("/chunked", DType::f32, {10}, {{2}, 0});
    file.create_dataset("/contiguous", DType::f32, {10});
    const std::vector<float> rows(8, 1.f);
    file.write_rows("/x", 2, {rows.data(), DType::f32, {2, 4}});
    file.write_rows("/x", 8, {rows.data(), DType::f32, {2, 4}});
  }
  EXPECT_THAT(
      probe_files({path}, {"/x"}),
      ElementsAre(HasSubstr("a.h5:/x: 6 of its 10 rows, between row 0 and 7, lie wholly or partly in chunks "
                            "that were never written")));
  for (const char* name : {"/chunked", "/contiguous"})
    EXPECT_THAT(probe_files({path}, {name}), ElementsAre(HasSubstr("no row was ever written, so 10 rows")))
        << name;
  const FileCheck check = check_file(path);
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.datasets[0].description.warnings, SizeIs(1));
}

}  // namespace
}  // namespace lockstep
