#include "io/hdf5/sources/links.h"

#include <sys/stat.h>

#include <cmath>
#include <filesystem>

#include "io/probe/inspect.h"
#include "tests/io/data_files.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
namespace fs = std::filesystem;

void put_soft_link(const std::string& path, const std::string& name, const std::string& target) {
  const hdf5::File file = hdf5::File::open_for_writing(path);
  ASSERT_GE(H5Lcreate_soft(target.c_str(), file.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), 0);
}

void put_external_link(const std::string& path, const std::string& name, const std::string& file,
                       const std::string& target) {
  const hdf5::File from = hdf5::File::open_for_writing(path);
  ASSERT_GE(
      H5Lcreate_external(file.c_str(), target.c_str(), from.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), 0);
}

TEST(Links, AreFollowedByInfoCheckAndTraining) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/labels", {3}, std::vector<int64_t>{0, 1, 2});
  put(folder / "b.h5", "/deep/x", {3, 2}, counting<float>(6));
  put_soft_link(path, "/y", "labels");
  put_external_link(path, "/x", "b.h5", "/deep/x");
  put_external_link(path, "/other", "b.h5", "/deep");
  const auto is = [](const char* name, const char* link) {
    return AllOf(Field(&DatasetDescription::name, name), Field(&DatasetDescription::link, link),
                 Field(&DatasetDescription::usable, true));
  };
  EXPECT_THAT(describe_file(path).datasets,
              ElementsAre(is("/labels", ""), is("/other/x", ""), is("/x", "external link to /deep/x of b.h5"),
                          is("/y", "soft link to labels")));
  const FileCheck check = check_file(path);
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.datasets, SizeIs(4));
  EXPECT_EQ(check.datasets[2].max, 5);
  EXPECT_EQ(open_dataset({{path}, "/x", "/y"}, {})->size(), 3);
}

TEST(Links, ThatLeadNowhereSayWhatTheyPointTo) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/data/z", {3}, counting<float>(3));
  put(folder / "b.h5", "/z", {3}, counting<float>(3));
  put_soft_link(path, "/soft", "/gone");
  put_soft_link(path, "/twice", "/soft");
  put_external_link(path, "/absent", "c.h5", "/x");
  put_external_link(path, "/lacking", "b.h5", "/x");
  put_soft_link(path, "/data/circle", "/data/circle");
  const auto said = [&](const std::string& name) {
    return error_of([&] { open_dataset({{path}, name, ""}, {}); });
  };
  EXPECT_THAT(said("/soft"),
              HasSubstr("a.h5 has no data set /soft: /soft is a soft link to /gone, which does not "
                        "exist. It has: /data/z (3)."));
  EXPECT_THAT(said("/twice"),
              HasSubstr("/twice is a soft link to /soft, /soft is a soft link to /gone, which does"));
  EXPECT_THAT(said("/absent"), AllOf(HasSubstr("/absent is an external link to /x of c.h5, but " +
                                               (folder / "c.h5") + " does not exist"),
                                     HasSubstr("HDF5_EXT_PREFIX")));
  EXPECT_THAT(said("/lacking"), HasSubstr("/lacking is an external link to /x of b.h5, which " +
                                          (folder / "b.h5") + " does not have."));
  EXPECT_THAT(said("/data/circle"), HasSubstr("in a circle"));
  EXPECT_THAT(said("/none"), Not(HasSubstr("link")));
  const FileDescription description = describe_file(path);
  EXPECT_THAT(description.datasets, SizeIs(1));
  EXPECT_THAT(description.broken_links, SizeIs(5));
  const std::vector<std::string> problems = check_file(path).problems;
  ASSERT_THAT(problems, SizeIs(5));
  for (const std::string& problem : problems) EXPECT_THAT(problem, testing::StartsWith(path + ":/"));
}

TEST(Links, TheRemedyForALostFileWorks) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  put(folder / "a.h5", "/labels", {3}, std::vector<int64_t>{0, 1, 2});
  put(folder / "elsewhere/b.h5", "/x", {3}, counting<float>(3));
  put_external_link(folder / "a.h5", "/x", "b.h5", "/x");
  setenv("HDF5_EXT_PREFIX", (folder / "elsewhere").c_str(), 1);
  EXPECT_EQ(open_dataset({{folder / "a.h5"}, "/x", "/labels"}, {})->size(), 3);
  unsetenv("HDF5_EXT_PREFIX");
}

TEST(Links, CirclesOfGroupsAndFilesEnd) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/g/x", {3}, counting<float>(3));
  put(folder / "b.h5", "/h/x", {3}, counting<float>(3));
  put_soft_link(folder / "a.h5", "/g/up", "/");
  put_external_link(folder / "a.h5", "/g/b", "b.h5", "/");
  put_external_link(folder / "b.h5", "/h/a", "a.h5", "/");
  EXPECT_THAT(
      describe_file(folder / "a.h5").datasets,
      ElementsAre(Field(&DatasetDescription::name, "/g/b/h/x"), Field(&DatasetDescription::name, "/g/x")));
}

TEST(Links, AnExternalLinkToAPipeIsNotWaitedFor) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/y", {3}, counting<float>(3));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  put_external_link(folder / "a.h5", "/x", "pipe", "/x");
  const FileDescription description = describe_file(folder / "a.h5");
  ASSERT_THAT(description.broken_links, SizeIs(1));
  EXPECT_THAT(description.broken_links[0], HasSubstr("pipe is not a regular file"));
}

TEST(Links, NamesWithEscapeSequencesArePrintedHarmless) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/red\x1b[31m\r", {3}, counting<float>(3));
  put(path, "/nan\x1b[2J", {1}, std::vector<float>{NAN});
  put_soft_link(path, "/soft\x1b[1m", "/gone\x1b[1m");
  for (const char* command : {"info", "check"}) {
    const ProgramResult result = run_program({lockstep_binary(), "data", command, "a.h5"}, folder.path());
    EXPECT_THAT(result.out, AllOf(HasSubstr("/red\\x1b[31m\\x0d"), Not(HasSubstr("\x1b")))) << result.err;
    EXPECT_THAT(result.err, Not(HasSubstr("\x1b")));
  }
  const ProgramResult train =
      run_program({lockstep_binary(), "train", "--set", "data.train=a.h5"}, folder.path());
  EXPECT_EQ(train.exit_code, 3);
  EXPECT_THAT(train.err, AllOf(HasSubstr("/red\\x1b[31m"), Not(HasSubstr("\x1b"))));
}

}  // namespace
}  // namespace lockstep
