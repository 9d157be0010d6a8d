#include <functional>
#include <string>

#include "io/import/import_cifar10.h"
#include "io/import/import_mnist.h"
#include "io/import/import_text.h"
#include "io/import/synth_digits.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using Progress = std::function<void(int64_t done, int64_t all)>;

/// The last `done` and `all` that `run` reports, which never decrease nor exceed the whole.
std::pair<int64_t, int64_t> reported_by(const std::function<void(const Progress&)>& run) {
  std::pair<int64_t, int64_t> last{-1, 0};
  run([&](int64_t done, int64_t all) {
    EXPECT_GE(done, last.first);
    EXPECT_LE(done, all);
    last = {done, all};
  });
  return last;
}

std::string header_of_idx(uint8_t rank, uint8_t count) {
  std::string bytes{0, 0, 8, static_cast<char>(rank)};
  for (int axis = 0; axis < rank; ++axis)
    bytes += std::string{0, 0, 0, axis == 0 ? static_cast<char>(count) : '\1'};
  return bytes + std::string(count, '\0');
}

TEST(ImportProgress, ReachesAllBytesOfTheSource) {
  const TemporaryFolder folder;
  const std::string out = folder / "out.h5";
  constexpr int64_t kRecord = 3073;
  write_raw(folder / "data_batch_1.bin", std::string(2000 * kRecord, '\1'));
  write_raw(folder / "test_batch.bin", std::string(10 * kRecord, '\2'));
  EXPECT_EQ(reported_by([&](const Progress& progress) { import_cifar10(folder.path(), out, progress); }),
            std::pair(2010 * kRecord, 2010 * kRecord));

  for (const std::string part : {"train", "t10k"}) {
    write_raw(folder / (part + "-images-idx3-ubyte"), header_of_idx(3, 50));
    write_raw(folder / (part + "-labels-idx1-ubyte"), header_of_idx(1, 50));
  }
  EXPECT_EQ(reported_by([&](const Progress& progress) { import_mnist(folder.path(), out, progress); }),
            std::pair(int64_t{132}, int64_t{132}));

  EXPECT_EQ(reported_by([&](const Progress& progress) {
              synth_digits(out, {5000, 100, 1}, progress);
            }),
            std::pair(int64_t{5100 * 784}, int64_t{5100 * 784}));
}

TEST(ImportProgress, OfTextIsReportedForEachMebibyte) {
  const TemporaryFolder folder;
  constexpr int64_t kBytes = (3 << 20) + 10;
  write_raw(folder / "text", std::string(kBytes, 'a'));
  for (const bool characters : {false, true}) {
    const auto last = reported_by([&](const Progress& progress) {
      import_text(folder / "text", folder / "out.h5", {.characters = characters}, progress);
    });
    EXPECT_EQ(last.second, characters ? 2 * kBytes : kBytes);
    EXPECT_GE(last.first, last.second - (1 << 20));
  }
}

}  // namespace
}  // namespace lockstep
