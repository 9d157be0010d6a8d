#include "io/probe/probe.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "io/probe/inspect.h"
#include "src/core/text/json.h"
#include "tests/io/data_files.h"
#include "tests/support/binary.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Every HDF5 file below a folder of the shared data, sorted.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> files;
  const std::string root = LOCKSTEP_SHARED_DATA "/" + folder;
  if (!std::filesystem::exists(root)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension();
    if (extension == ".h5" || extension == ".hdf5" || extension == ".nc") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// A sentence about this file, with an end.
void expect_clear(const std::string& message, const std::string& path) {
  EXPECT_THAT(message, HasSubstr(path.substr(path.rfind('/') + 1)));
  EXPECT_THAT(message, testing::AnyOf(EndsWith("."), EndsWith("`."))) << message;
}

/// Lists a file and opens all that it lists, as a user would who tries one data set after another. Whatever
/// the file is, this process goes on. Returns how many data sets could be opened, or the error that ended it
/// all.
/// `probes`: how many data sets are looked at in a child first; for the rest of a harmless file that only
/// takes time.
std::pair<int, std::string> open_everything(const std::string& path, int probes) {
  FileDescription description;
  try {
    description = describe_file(path, 2);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::data) << e.what();
    expect_clear(e.what(), path);
    return {0, e.what()};
  }
  int opened = 0;
  for (const DatasetDescription& dataset : description.datasets) {
    DatasetOptions options;
    options.memory_budget = 32 << 20;
    options.probe = probes-- > 0;
    try {
      const auto data = open_dataset({{path}, dataset.name, ""}, options);
      EXPECT_GT(data->size(), 0);
      ++opened;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::data) << e.what();
      expect_clear(e.what(), path);
    }
  }
  return {opened, ""};
}

TEST(Probe, NoHostileFileHarmsThisProcess) {
  const std::vector<std::string> files = files_below("hostile-hdf5");
  if (files.empty()) GTEST_SKIP() << "hostile-hdf5 is absent";
  std::string crashes;
  for (const std::string& path : files) {
    const std::string error = open_everything(path, 1000).second;
    // AddressSanitizer turns a crash into an exit.
    for (const char* const end : {"crashed", "ended the process"}) {
      if (error.find(end) != std::string::npos) crashes += path;
    }
  }
  // The library must have crashed somewhere, or this has proved nothing.
  EXPECT_THAT(crashes, HasSubstr("gh-4432-poc-05.h5"));
}

TEST(Probe, AGroupThatContainsItselfEnds) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hostile-hdf5/cve-2024-32618.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  // libhdf5's own H5Ovisit never ends here.
  EXPECT_THAT(describe_file(path).datasets, SizeIs(2));
}

TEST(Probe, EveryConformanceFileIsReadOrRefusedInOneSentence) {
  const std::vector<std::string> files = files_below("hdf5-conformance");
  if (files.empty()) GTEST_SKIP() << "hdf5-conformance is absent";
  int opened = 0;
  for (const std::string& path : files) {
    opened += open_everything(path, 1).first;
  }
  EXPECT_GT(opened, 150);
}

TEST(Probe, NamesTheFilterThatIsMissing) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-conformance/plugin-filters/zfp_054.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const std::string name = describe_file(path).datasets.at(0).name;
  const std::string error = error_of([&] { open_dataset({{path}, name, ""}, {}); });
  EXPECT_THAT(error, AllOf(HasSubstr("filter zfp (32013)"), HasSubstr("HDF5_PLUGIN_PATH")));
}

TEST(Probe, NamesTheFileOfManyThatIsBad) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {2}, counting<float>(2));
  put(folder / "b.h5", "/z", {2}, counting<float>(2));
  EXPECT_THAT(error_of([&] {
                probe_files({folder / "a.h5", folder / "b.h5"}, {"/x"});
              }),
              HasSubstr("b.h5 has no data set /x. It has: /z (2)."));
}

/// Makes a program out of a shell script.
std::string script(const TemporaryFolder& folder, const std::string& text) {
  const std::string path = folder / "program";
  std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
  chmod(path.c_str(), 0700);
  return path;
}

/// What the parent makes of a child that does as the script says.
std::string error_with_child(const std::string& text, ExitCode code, double seconds = 120) {
  const TemporaryFolder folder;
  set_probe_program(script(folder, text));
  const std::string error = error_of([&] { probe_files({"one.h5", "two.h5"}, {"/x"}, seconds); }, code);
  set_probe_program(lockstep_binary());
  return error;
}

/// The same for one that sleeps after its first words. On a busy machine it is given ever more time for
/// those.
std::string error_with_sleeper(const std::string& text) {
  std::string error;
  for (double seconds = 0.5; seconds < 100; seconds *= 2) {
    error = error_with_child(text, ExitCode::data, seconds);
    if (error.find("two.h5") != std::string::npos) break;
  }
  return error;
}

TEST(Probe, WhateverTheChildDoesBecomesASentence) {
  const std::string begin = "echo '{\"probe\":1}'; echo '{\"at\":1}'; ";
  EXPECT_THAT(error_with_child(begin + "kill -SEGV $$", ExitCode::data),
              HasSubstr("two.h5: libhdf5 crashed (Segmentation fault) while looking at it."));
  EXPECT_THAT(error_with_sleeper(begin + "sleep 1000"), HasSubstr("two.h5: libhdf5 made no progress"));
  EXPECT_THAT(error_with_sleeper(begin + "exec sleep 1000 >&-"), HasSubstr("made no progress"));
  EXPECT_THAT(error_with_child(begin + "exit 3", ExitCode::data),
              HasSubstr("two.h5: libhdf5 ended the process (exit status 3)"));
  EXPECT_THAT(error_with_child("echo hello", ExitCode::bug), HasSubstr("did not answer as a probe"));
  EXPECT_THAT(error_with_child("exit 1", ExitCode::bug), HasSubstr("did not answer as a probe"));
  // No trace of MPI reaches it, and no open file of the parent's.
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  setenv("PMIX_RANK", "1", 1);
  EXPECT_EQ(error_with_child(begin + "n=$(env | grep -c 'OMPI_\\|PMIX_'); f=$(ls /proc/self/fd | wc -l); "
                                     "echo \"{\\\"error\\\":\\\"$n $f\\\",\\\"code\\\":3}\"",
                             ExitCode::data),
            "0 4");  // ls itself has one more than the three standard ones
  unsetenv("OMPI_COMM_WORLD_RANK");
  unsetenv("PMIX_RANK");
}

/// Ctrl-C in a terminal and Open MPI 5 send a request to stop to a rank's whole process group. The rank
/// decides what comes of it; what it is told about a file must not change.
TEST(Probe, ARequestToStopDoesNotEndTheChild) {
  for (const std::string signal : {"INT", "TERM", "HUP", "USR1", "USR2"})
    EXPECT_EQ(error_with_child("kill -" + signal + " $$; echo '{\"probe\":1}'; kill -" + signal +
                                   " $$; echo '{\"error\":\"done\",\"code\":3}'",
                               ExitCode::data),
              "done")
        << signal;
}

TEST(Inspect, DescribesWhatAFileHolds) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/train/x", {6, 2}, counting<float>(12), {{3, 2}, 4});
  put(folder / "a.h5", "/train/y", {6}, counting<int64_t>(6, 3));
  put(folder / "a.h5", "/scalar", {}, counting<uint8_t>(1));
  const FileDescription description = describe_file(folder / "a.h5");
  ASSERT_THAT(description.datasets, SizeIs(3));
  EXPECT_EQ(description.file_bytes, static_cast<int64_t>(std::filesystem::file_size(folder / "a.h5")));
  const DatasetDescription& scalar = description.datasets[0];
  const DatasetDescription& x = description.datasets[1];
  EXPECT_EQ(x.name, "/train/x");
  EXPECT_THAT(x.shape, ElementsAre(6, 2));
  EXPECT_EQ(x.type, "float32");
  EXPECT_EQ(x.layout, "chunked");
  EXPECT_THAT(x.chunk, ElementsAre(3, 2));
  EXPECT_THAT(x.filters, ElementsAre("shuffle", "deflate"));
  EXPECT_GT(x.stored_bytes, 0);
  EXPECT_TRUE(x.usable);
  EXPECT_FALSE(scalar.usable);
  EXPECT_THAT(scalar.problem, HasSubstr("is a single number"));
  EXPECT_EQ(nlohmann::json(description)["datasets"][2]["type"], "int64");
}

TEST(Inspect, ChecksEveryValue) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/test/x", {4, 2}, std::vector<double>{0, 1, 2, 3, 4, NAN, INFINITY, -1});
  put(path, "/test/y", {3}, std::vector<uint8_t>{2, 0, 2});
  const FileCheck check = check_file(path);
  ASSERT_THAT(check.datasets, SizeIs(2));
  const DatasetCheck& x = check.datasets[0];
  EXPECT_EQ(x.values, 8);
  EXPECT_EQ(x.not_finite, 2);
  EXPECT_EQ(x.min, -1);
  EXPECT_EQ(x.max, 4);
  EXPECT_DOUBLE_EQ(x.mean, 1.5);
  EXPECT_THAT(check.sources, IsEmpty());
  ASSERT_THAT(check.problems, SizeIs(2));
  EXPECT_THAT(check.problems[0],
              HasSubstr("/test/x holds NaN or infinity in 2 of 8 values, the first in sample 2."));
  EXPECT_THAT(check.problems[1], HasSubstr("/test/x has 4 samples, but /test/y has 3."));
}

TEST(Inspect, FindsAChunkThatCannotBeRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/x", {3000}, counting<float>(3000), {{1000}, 4});
  put(path, "/good", {3}, counting<float>(3));
  haddr_t address = 0;
  {
    const hdf5::File file = hdf5::File::open(path);
    const hdf5::Dataset dataset = file.dataset("/x");
    const hdf5::Id space(H5Dget_space(dataset.id()));
    hsize_t offset = 0, bytes = 0;
    unsigned mask = 0;
    ASSERT_GE(H5Dget_chunk_info(dataset.id(), space.get(), 1, &offset, &mask, &address, &bytes), 0);
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(address) + 20);
  file << "damage";
  file.close();
  const FileCheck check = check_file(path);
  EXPECT_EQ(check.datasets[0].values, 3);  // /good
  ASSERT_THAT(check.problems, SizeIs(1));
  EXPECT_THAT(check.problems[0], AllOf(HasSubstr("a.h5:/x: rows"), HasSubstr("cannot be read")));
  EXPECT_THAT(error_of([&] { open_dataset({{path}, "/x", ""}, {}); }), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace lockstep
