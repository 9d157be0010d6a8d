#include "io/hdf5/sources/family.h"

#include <chrono>
#include <filesystem>

#include "io/hdf5/sources/sources.h"
#include "io/probe/inspect.h"
#include "io/stage/stage.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/io/hdf5/family_files.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace fs = std::filesystem;

constexpr uint64_t kMemberBytes = 4096;

/// Data sets that are read in different ways, with 64 rows each.
void put_data_sets(const std::string& path) {
  constexpr int64_t kRows = 64;
  put(path, "/x", {kRows, 20}, counting<float>(kRows * 20));
  put(path, "/packed", {kRows, 100}, counting<uint8_t>(kRows * 100, 251), {.chunk = {7, 100}, .deflate = 1});
  put(path, "/chunked", {kRows, 30}, counting<double>(kRows * 30), {.chunk = {5, 30}});
  put(path, "/y", {kRows}, counting<int32_t>(kRows, 3));
  std::vector<std::vector<float>> sequences(kRows);
  std::vector<hvl_t> elements;
  for (size_t i = 0; i < sequences.size(); ++i) {
    sequences[i].assign(i % 9 + 1, static_cast<float>(i));
    elements.push_back({sequences[i].size(), sequences[i].data()});
  }
  const hdf5::Lock lock;
  const hdf5::Id item(H5Tvlen_create(H5T_NATIVE_FLOAT));
  put_elements(path, "/sequences", {kRows}, item.get(), elements.data());
}

const std::vector<std::string> kDataSets = {"/x", "/packed", "/chunked", "/sequences"};

/// A folder with plain.h5 and the same as a family, part-000.h5 and so on.
struct FamilyFolder : TemporaryFolder {
  explicit FamilyFolder(bool newest_format = false) {
    put_data_sets(*this / "plain.h5");
    copy_as_family(*this / "plain.h5", pattern(), kMemberBytes, newest_format);
  }
  std::string pattern() const { return *this / "part-%03d.h5"; }
  std::string member(int64_t number) const { return hdf5::member_of(pattern(), number); }
  std::string last() const { return hdf5::find_family(pattern()).members.back(); }
  std::string error_of_opening(const std::string& path) const {
    const std::string error = error_of([&] { hdf5::File::open(path); });
    EXPECT_EQ(error_of([&] { open_xy(path, {.probe = false}); }), error);
    return error;
  }
};

TEST(Families, OfEitherFormatHaveTheValuesOfThePlainFileByPatternAndByFirstMember) {
  for (const bool newest_format : {false, true}) {
    const FamilyFolder folder(newest_format);
    ASSERT_THAT(hdf5::find_family(folder.pattern()).members, SizeIs(testing::Gt(5)));
    for (const std::string& path : {folder.pattern(), folder.member(0)})
      for (const std::string& name : kDataSets)
        for (const int64_t memory : {int64_t{0}, int64_t{1} << 30}) {
          const DatasetOptions options{.memory_budget = memory, .probe = false};
          const auto plain = open_dataset({{folder / "plain.h5"}, name, "/y"}, options);
          const auto family = open_dataset({{path}, name, "/y"}, options);
          std::vector<int64_t> indices(static_cast<size_t>(plain->size()));
          for (size_t i = 0; i < indices.size(); ++i)
            indices[i] = static_cast<int64_t>(i * 37 % indices.size());
          const size_t bytes = static_cast<size_t>(plain->x_shape().elements()) * size_of(plain->x_dtype());
          std::vector<std::byte> expected(indices.size() * bytes), found(expected.size());
          std::vector<int32_t> expected_y(indices.size()), found_y(indices.size());
          plain->read(indices, expected.data(), reinterpret_cast<std::byte*>(expected_y.data()));
          family->read(indices, found.data(), reinterpret_cast<std::byte*>(found_y.data()));
          EXPECT_EQ(found, expected) << path << ":" << name << ", " << memory;
          EXPECT_EQ(found_y, expected_y) << path << ":" << name;
          EXPECT_EQ(family->fingerprint(), plain->fingerprint());
          EXPECT_EQ(family->route(), plain->route());
          EXPECT_THAT(family->notes(),
                      Contains(AllOf(HasSubstr(path + " is read as a family of "),
                                     EndsWith(fs::path(folder.last()).filename().string()))));
        }
  }
}

TEST(Families, AreReadWithoutLibhdf5) {
  const FamilyFolder folder;
  const hdf5::File file = hdf5::File::open(folder.member(0));
  for (const char* name : {"/x", "/packed", "/chunked"}) {
    const hdf5::Dataset dataset = file.dataset(name);
    EXPECT_FALSE(dataset.is_read_by_libhdf5()) << name;
    EXPECT_EQ(dataset.chunk_map()->descriptor(), -1) << name;
  }
}

TEST(Families, OfOneMemberAreReadToo) {
  const TemporaryFolder folder;
  put(folder / "plain.h5", "/x", {3}, std::vector<double>{1, 2, 3});
  for (const bool newest_format : {false, true}) {
    copy_as_family(folder / "plain.h5", folder / "one-%d.h5", 1 << 20, newest_format);
    for (const char* name : {"one-%d.h5", "one-0.h5"})
      EXPECT_THAT(all_x<double>(*open_dataset({{folder / name}, "/x", ""}, {.probe = false})),
                  ElementsAre(1, 2, 3));
  }
}

TEST(Families, AMemberThatIsMissingIsNamed) {
  const FamilyFolder folder;
  fs::rename(folder.member(2), folder / "away");
  for (const std::string& path : {folder.pattern(), folder.member(0)})
    EXPECT_THAT(folder.error_of_opening(path),
                HasSubstr(folder.member(2) + " does not exist, although " + folder.member(3) +
                          " of the same family does. Restore the missing file."));
  fs::rename(folder / "away", folder.member(2));
  const std::string last = folder.last();
  fs::remove(last);
  for (const std::string& path : {folder.pattern(), folder.member(0)})
    EXPECT_THAT(folder.error_of_opening(path),
                AllOf(HasSubstr(path + " is truncated"), HasSubstr(last + " does not exist")));
  fs::remove(folder.member(0));
  EXPECT_THAT(folder.error_of_opening(folder.pattern()),
              HasSubstr(folder.member(0) + " does not exist, the first file of the family"));
}

TEST(Families, AMemberThatIsTooShortIsNamed) {
  const FamilyFolder folder;
  fs::resize_file(folder.member(1), kMemberBytes - 1);
  EXPECT_THAT(folder.error_of_opening(folder.member(0)),
              HasSubstr(folder.member(1) + " has 4095 bytes, but the files of the family " +
                        folder.pattern() + " have 4096 each"));
}

TEST(Families, EmptyMembersOfALongerOneThatWasOverwrittenAreIgnored) {
  const FamilyFolder folder;
  const auto count = static_cast<int64_t>(hdf5::find_family(folder.pattern()).members.size());
  write_raw(folder.member(count), "");
  write_raw(folder.member(count + 1), "");
  EXPECT_EQ(hdf5::find_family(folder.pattern()).members.size(), static_cast<size_t>(count));
  EXPECT_EQ(open_xy(folder.pattern(), {.probe = false})->size(), 64);
}

TEST(Families, ALaterMemberSaysWhoseItIs) {
  const FamilyFolder folder;
  EXPECT_THAT(folder.error_of_opening(folder.member(3)),
              AllOf(HasSubstr(folder.member(3) + " is not an HDF5 file"),
                    HasSubstr("name " + folder.pattern() + " or " + folder.member(0) + " instead")));
}

TEST(Families, AChangeOfAnyMemberIsNoticed) {
  const FamilyFolder folder;
  const auto data = open_xy(folder.member(0), {.memory_budget = 0, .probe = false});
  EXPECT_EQ(all_x<float>(*data), counting<float>(64 * 20));
  fs::last_write_time(folder.last(), fs::last_write_time(folder.last()) + std::chrono::seconds(5));
  EXPECT_THAT(error_of([&] { all_x<float>(*data); }),
              HasSubstr(folder.last() + " changed after it was opened"));
}

TEST(Families, AllTheirMembersAreSourcesAndNoneIsCopiedAlone) {
  const FamilyFolder folder;
  const std::vector<std::string> members = hdf5::find_family(folder.pattern()).members;
  const hdf5::File file = hdf5::File::open(folder.member(0));
  EXPECT_EQ(hdf5::require_sources(file.dataset("/x")).files, members);
  for (const std::string& path : {folder.pattern(), folder.member(0)}) {
    EXPECT_EQ(hdf5::files_behind(path), members);
    EXPECT_TRUE(needs_other_files(path, {"/x"}));
  }
  EXPECT_THAT(hdf5::files_behind(folder / "plain.h5"), ElementsAre(folder / "plain.h5"));
}

TEST(Families, AreDescribedWithTheSizeOfAll) {
  const FamilyFolder folder;
  for (const std::string& path : {folder.pattern(), folder.member(0)}) {
    const FileDescription file = describe_here(path);
    EXPECT_EQ(file.file_bytes, static_cast<int64_t>(hdf5::find_family(folder.pattern()).bytes));
    EXPECT_THAT(file.family, HasSubstr("part-000.h5 to part-"));
    EXPECT_THAT(file.datasets, SizeIs(5));
    EXPECT_THAT(file.problems, IsEmpty());
  }
  EXPECT_EQ(describe_here(folder / "plain.h5").family, "");
}

TEST(Families, AFileOfSuchANameIsNoPattern) {
  const TemporaryFolder folder;
  put(folder / "100%d.h5", "/x", {2}, std::vector<double>{1, 2});
  EXPECT_FALSE(hdf5::is_family_pattern(folder / "100%d.h5"));
  EXPECT_THAT(all_x<double>(*open_dataset({{folder / "100%d.h5"}, "/x", ""}, {.probe = false})),
              ElementsAre(1, 2));
  for (const char* name : {"a.h5", "a%.h5", "a%s.h5", "a%d-%d.h5", "a%%d.h5", "a%d/b.h5", "a%999d.h5", "a%"})
    EXPECT_FALSE(hdf5::is_family_pattern(name)) << name;
  EXPECT_EQ(hdf5::member_of("f/100%%-%d.h5", 12), "f/100%-12.h5");
  EXPECT_EQ(hdf5::member_of("%05d.h5", 12), "00012.h5");
  EXPECT_EQ(hdf5::member_of("%3u", 7), "  7");
}

TEST(Families, CannotBeTheTargetOfALink) {
  const FamilyFolder folder;
  hdf5::File::create(folder / "link.h5");
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(folder / "link.h5");
    ASSERT_GE(H5Lcreate_external("part-000.h5", "/x", file.id(), "/x", H5P_DEFAULT, H5P_DEFAULT), 0);
  }
  EXPECT_THAT(error_of([&] {
                open_dataset({{folder / "link.h5"}, "/x", ""}, {.probe = false});
              }),
              HasSubstr("is the first file of a family, to which no other file can refer"));
}

TEST(Families, MayHaveALinkToAPlainFile) {
  const TemporaryFolder folder;
  put_data_sets(folder / "plain.h5");
  {
    const hdf5::Lock lock;
    const hdf5::Id access(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_fapl_family(access.get(), 256, H5P_DEFAULT);
    const hdf5::Id file(H5Fcreate((folder / "f%d.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
    ASSERT_GE(H5Lcreate_external("plain.h5", "/x", file.get(), "/x", H5P_DEFAULT, H5P_DEFAULT), 0);
  }
  const auto data = open_dataset({{folder / "f%d.h5"}, "/x", ""}, {.probe = false});
  EXPECT_EQ(all_x<float>(*data), counting<float>(64 * 20));
}

TEST(Families, FilesOfTheSplitAndMultiDriversAreRefusedWithTheRemedy) {
  const TemporaryFolder folder;
  put(folder / "plain.h5", "/x", {2000}, counting<double>(2000));
  for (const bool newest_format : {false, true}) {
    copy_by_driver(
        folder / "plain.h5", folder / "split",
        [](hid_t access) { H5Pset_fapl_split(access, "-m.h5", H5P_DEFAULT, "-r.h5", H5P_DEFAULT); },
        newest_format);
    copy_by_driver(
        folder / "plain.h5", folder / "multi",
        [](hid_t access) { H5Pset_fapl_multi(access, nullptr, nullptr, nullptr, nullptr, true); },
        newest_format);
    for (const char* name : {"split", "split-m.h5", "split-r.h5", "multi", "multi-s.h5", "multi-r.h5"}) {
      const std::string stem = folder / std::string(name).substr(0, 5);
      EXPECT_THAT(error_of([&] { hdf5::File::open(folder / name); }),
                  AllOf(HasSubstr(folder / name), HasSubstr("`h5repack " + stem + " OUT.h5`")));
    }
  }
}

}  // namespace
}  // namespace lockstep
