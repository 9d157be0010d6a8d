#include "src/device/libraries/cufile.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "src/device/buffer.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::from_backend;
using testing::HasSubstr;

class FileToGpuTest : public testing::Test {
 protected:
  static constexpr size_t kFileBytes = 50'000;

  void SetUp() override {
    test::use_backend(Backend::cuda, exec);
    if (IsSkipped()) return;
    try {
      to_gpu.emplace(exec);
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
    std::string bytes;
    for (size_t i = 0; i < kFileBytes; ++i) bytes += static_cast<char>(i * i / 7 + i);
    content.assign(bytes.begin(), bytes.end());
    write_raw(folder / "x", bytes);
    descriptor = ::open((folder / "x").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor, 0);
  }
  void TearDown() override {
    if (descriptor >= 0) ::close(descriptor);
  }

  const TemporaryFolder folder;
  Exec exec;
  Buffer memory;  // of the GPU; it outlives what reads into it
  std::optional<FileToGpu> to_gpu;
  std::vector<uint8_t> content;
  int descriptor = -1;
};

TEST_F(FileToGpuTest, ReadsAnyBytesOfAFileToAnyPlace) {
  memory = Buffer(exec, Memory::device, 45'000);
  to_gpu->add_destination(memory.data(), memory.size());
  std::vector<uint8_t> expected(memory.size());
  const auto read = [&](size_t offset, size_t at, size_t bytes) {
    EXPECT_EQ(to_gpu->read(descriptor, static_cast<int64_t>(offset), memory.data(), at, bytes), "");
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), bytes,
                expected.begin() + static_cast<std::ptrdiff_t>(at));
  };
  read(0, 0, 1);
  read(4095, 7, 2);
  read(8192, 4096, 4096);
  read(12'345, 9'001, 30'011);
  read(kFileBytes - 3, 44'997, 3);
  read(5, 5, 0);
  to_gpu->fill_zero(memory.data() + 20'000, 1'000);
  std::fill_n(expected.begin() + 20'000, 1'000, uint8_t{0});
  EXPECT_EQ(from_backend(exec, memory.as<uint8_t>()), expected);
}

TEST_F(FileToGpuTest, SaysWhyItCannotRead) {
  memory = Buffer(exec, Memory::device, 100);
  EXPECT_THAT(to_gpu->read(descriptor, 0, memory.data(), 0, 100), HasSubstr("cuFile"))
      << "memory that it does not know";
  to_gpu->add_destination(memory.data(), memory.size());
  EXPECT_EQ(to_gpu->read(descriptor, kFileBytes - 50, memory.data(), 0, 100),
            "the file ends before its values do");
  EXPECT_NE(to_gpu->read(1 << 20, 0, memory.data(), 0, 100), "") << "no file";
  const auto load = [&] { const FileToGpu other(exec, "libno-such-library.so.0"); };
  try {
    load();
    ADD_FAILURE() << "a library that is not there";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    EXPECT_THAT(e.what(), HasSubstr("cannot load libno-such-library.so.0"));
  }
}

}  // namespace
}  // namespace lockstep
