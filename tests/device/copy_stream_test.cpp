#include "src/device/copy_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "src/device/buffer.h"
#include "src/device/fence.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::from_backend;

class CopyStreamTest : public test::BackendTest {
 protected:
  static constexpr size_t kBytes = 1001;
  void fill(uint8_t value) { std::ranges::fill(source.as<uint8_t>(), value); }

  Buffer source{exec(), Memory::pinned, kBytes}, destination{exec(), Memory::device, kBytes};
  CopyStream copies{exec()};
};
INSTANTIATE_FOR_BACKENDS(CopyStreamTest);

TEST_P(CopyStreamTest, LaterWorkSeesWhatWasCopiedBeforeItJoined) {
  EXPECT_TRUE(copies.done()) << "nothing is copied";
  copies.wait();
  for (const uint8_t round : {1, 2, 3}) {
    fill(round);
    copies.copy(destination.data(), source.data(), kBytes - 1);
    copies.copy(nullptr, nullptr, 0);
    copies.join();
    std::vector<uint8_t> expected(kBytes, round);
    expected.back() = 0;
    EXPECT_EQ(from_backend(exec(), destination.as<uint8_t>()), expected);
    EXPECT_TRUE(copies.done()) << "what came later is";
  }
}

TEST_P(CopyStreamTest, TheSourceMayBeOverwrittenOnceTheCopyIsDone) {
  for (const bool asks : {false, true}) {
    fill(1);
    copies.copy(destination.data(), source.data(), kBytes);
    copies.join();
    while (asks && !copies.done()) {
    }
    if (!asks) copies.wait();
    EXPECT_TRUE(copies.done());
    fill(2);
    EXPECT_EQ(from_backend(exec(), destination.as<uint8_t>()), std::vector<uint8_t>(kBytes, 1));
  }
}

TEST_P(CopyStreamTest, DoesNotWaitForTheWorkOfTheExec) {
  if (!exec().on_cuda()) GTEST_SKIP() << "the CPU does one thing after the other";
  const Buffer other(exec(), Memory::device, size_t{64} << 20);
  Fence fence(exec());
  int overtakes = 0;
  for (int round = 0; round < 20; ++round) {
    fill_zero(exec(), other.data(), other.size());
    fence.record();
    copies.copy(destination.data(), source.data(), kBytes);
    copies.join();
    while (!copies.done()) {
    }
    overtakes += fence.reached() ? 0 : 1;
    synchronize(exec());
  }
  EXPECT_GT(overtakes, 0);
}

}  // namespace
}  // namespace lockstep
