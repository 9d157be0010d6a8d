#include "io/dataset/source_files.h"

#include <gmock/gmock.h>

#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(SourceFiles, OfAPatternAreInTheirNaturalOrder) {
  const TemporaryFolder folder;
  for (const std::string name : {"part10.h5", "part9.h5", "part09b.h5", "part1.h5", "part1.txt", "other.h5"})
    write_raw(folder / name, "x");
  EXPECT_EQ(matching_files({folder / "part*.h5"}),
            (std::vector<std::string>{folder / "part1.h5", folder / "part9.h5", folder / "part09b.h5",
                                      folder / "part10.h5"}));
  EXPECT_EQ(matching_files({folder / "part?.h5", folder / "other.h5"}),
            (std::vector<std::string>{folder / "part1.h5", folder / "part9.h5", folder / "other.h5"}));
  EXPECT_EQ(matching_files({folder / "part1[0-9].h5"}), std::vector<std::string>{folder / "part10.h5"});
}

TEST(SourceFiles, OfOtherNamesAreTheNames) {
  const TemporaryFolder folder;
  write_raw(folder / "a[1].h5", "x");
  EXPECT_EQ(matching_files({folder / "a[1].h5", "/missing.h5"}),
            (std::vector<std::string>{folder / "a[1].h5", "/missing.h5"}));
  EXPECT_TRUE(matching_files({}).empty());
}

TEST(SourceFiles, OfAPatternWithoutFilesAreAnError) {
  const TemporaryFolder folder;
  EXPECT_THAT(data_error_of([&] { matching_files({folder / "*.h5"}); }),
              HasSubstr("*.h5: no file matches this pattern."));
}

}  // namespace
}  // namespace lockstep
