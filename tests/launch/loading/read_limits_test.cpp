#include "launch/loading/read_limits.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

class ReadLimits : public testing::Test {
 protected:
  ReadLimits() {
    write_raw(a_, std::string((3 << 20) + 5, 'a'));
    write_raw(b_, "b");
  }

  const TemporaryFolder folder_;
  const std::string a_ = folder_ / "a", b_ = folder_ / "b";
};

TEST_F(ReadLimits, FilesThatWereReadAreInThePageCache) {
  const FileReading files({a_, b_});
  EXPECT_GT(files.read_once(10).bytes_per_s, 0);
  EXPECT_EQ(files.cached_share(), 1.0);
  files.drop_from_page_cache();
  const std::optional<double> stayed = files.cached_share();
  ASSERT_TRUE(stayed.has_value());
  EXPECT_LE(*stayed, 1.0);
  EXPECT_GT(files.read_once(10).bytes_per_s, 0);
  EXPECT_EQ(files.cached_share(), 1.0) << "the last byte was read again too";
}

TEST_F(ReadLimits, AnyNumberOfThreadsReadsAndCopies) {
  const FileReading files({a_, b_});
  const MemoryCopy memory(1000);
  for (const int threads : {0, 1, 5}) {
    for (const ByteRate rate : {files.read_in_order(threads, 1e-3), files.read_scattered(threads, 1e-3, 100),
                                files.read_scattered(threads, 1e-3, 5 << 20),  // longer than the files
                                memory.copy(threads, 1e-3)}) {
      EXPECT_GT(rate.bytes_per_s, 0);
      // No thread runs for longer than it takes.
      EXPECT_LE(rate.cpu_seconds_per_byte * rate.bytes_per_s, 1.01 * std::max(1, threads));
    }
  }
  EXPECT_GE(memory.bytes(), 256 << 20);
}

TEST_F(ReadLimits, FilesThatCannotBeReadAreNamed) {
  EXPECT_NE(data_error_of([&] {
              FileReading({a_, folder_ / "none"});
            }).find("/none cannot be opened"),
            std::string::npos);
  write_raw(folder_ / "empty", "");
  EXPECT_NE(data_error_of([&] { FileReading({folder_ / "empty"}); }).find("/empty: no bytes"),
            std::string::npos);
  const FileReading files({a_});
  std::filesystem::resize_file(a_, 10);
  EXPECT_NE(data_error_of([&] { files.read_in_order(2, 10); }).find("it became shorter"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
