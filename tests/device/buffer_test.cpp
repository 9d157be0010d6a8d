#include "src/device/buffer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "src/core/error.h"
#include "src/device/fence.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::BackendTest, test::from_backend, test::to_backend;

class BufferTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(BufferTest);

constexpr Memory kEveryMemory[] = {Memory::host, Memory::pinned, Memory::device};

TEST_P(BufferTest, IsAlignedAndZeroed) {
  for (const Memory memory : kEveryMemory) {
    for (const size_t bytes : {1, 255, 256, 1001}) {
      {  // what the next one may get
        const Buffer dirty(exec(), memory, bytes);
        to_backend(exec(), dirty.as<std::byte>(), std::vector(bytes, std::byte{7}));
      }
      const Buffer buffer(exec(), memory, bytes);
      EXPECT_EQ(buffer.size(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0u);
      EXPECT_EQ(from_backend(exec(), buffer.as<std::byte>()), std::vector<std::byte>(bytes));
    }
  }
}

TEST_P(BufferTest, OfNothingIsNothing) {
  for (const Memory memory : kEveryMemory) {
    const Buffer empty(exec(), memory, 0);
    EXPECT_EQ(empty.data(), nullptr);
    EXPECT_TRUE(empty.as<float>().empty());
    copy(exec(), empty.data(), empty.data(), 0);
    fill_zero(exec(), empty.data(), 0);
    synchronize(exec());
  }
}

TEST_P(BufferTest, MovesAndIsFreedOnce) {
  Buffer first(exec(), Memory::device, 12), second(exec(), Memory::device, 20);
  std::byte* const data = first.data();
  second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(second.size(), 12u);
  const Buffer third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.as<float>().size(), 3u);
}

TEST_P(BufferTest, IsCountedWhereItLiesUntilItIsFreed) {
  const BufferBytes before = buffer_bytes();
  const auto more = [&](const BufferBytes& bytes) {
    return std::pair(bytes.host - before.host, bytes.device - before.device);
  };
  const int64_t on_device = exec().on_cuda() ? 1001 : 0;
  restart_buffer_peak();
  {
    const Buffer host(exec(), Memory::host, 10), pinned(exec(), Memory::pinned, 200);
    Buffer device(exec(), Memory::device, 1001);
    const std::pair all(1211 - on_device, on_device);
    EXPECT_EQ(more(buffer_bytes()), all);
    const Buffer moved = std::move(device);
    EXPECT_EQ(more(buffer_bytes()), all);
    device = Buffer(exec(), Memory::device, 0);
    EXPECT_EQ(more(buffer_bytes()), all);
  }
  EXPECT_EQ(more(buffer_bytes()), std::pair(int64_t{0}, int64_t{0}));
  EXPECT_EQ(more(peak_buffer_bytes()), std::pair(1211 - on_device, on_device));
  restart_buffer_peak();
  EXPECT_EQ(more(peak_buffer_bytes()), std::pair(int64_t{0}, int64_t{0}));
}

TEST_P(BufferTest, CopiesBetweenAnyTwoKindsOfMemoryAtAnyOffset) {
  constexpr size_t kBytes = 1003;
  std::vector<uint8_t> values(kBytes);
  std::iota(values.begin(), values.end(), uint8_t{1});
  for (const Memory from : kEveryMemory) {
    for (const Memory to : kEveryMemory) {
      const Buffer source(exec(), from, kBytes), destination(exec(), to, kBytes);
      to_backend(exec(), source.as<uint8_t>(), values);
      // Twice, one after the other: the second copy of five bytes lands on what the first has brought.
      copy(exec(), destination.data() + 3, source.data() + 1, kBytes - 10);
      copy(exec(), destination.data() + 7, source.data(), 5);
      std::vector<uint8_t> expected(kBytes);
      std::copy_n(values.begin() + 1, kBytes - 10, expected.begin() + 3);
      std::copy_n(values.begin(), 5, expected.begin() + 7);
      EXPECT_EQ(from_backend(exec(), destination.as<uint8_t>()), expected);
    }
  }
}

TEST_P(BufferTest, PageableMemoryMayBeReusedAtOnce) {
  const Buffer destination(exec(), Memory::device, 1001);
  std::vector<uint8_t> values(1001, 5);
  copy(exec(), destination.data(), values.data(), values.size());
  values.assign(1001, 6);
  EXPECT_EQ(from_backend(exec(), destination.as<uint8_t>()), std::vector<uint8_t>(1001, 5));
}

TEST_P(BufferTest, ZerosWhatItIsToldToAndNoMore) {
  const Buffer buffer(exec(), Memory::device, 1001);
  to_backend(exec(), buffer.as<uint8_t>(), std::vector<uint8_t>(1001, 9));
  fill_zero(exec(), buffer.data() + 5, 501);
  std::vector<uint8_t> expected(1001, 9);
  std::fill_n(expected.begin() + 5, 501, uint8_t{0});
  EXPECT_EQ(from_backend(exec(), buffer.as<uint8_t>()), expected);
}

TEST_P(BufferTest, AFenceSaysWhenACopyIsDone) {
  const Buffer pinned(exec(), Memory::pinned, 1001), device(exec(), Memory::device, 1001);
  const Buffer back(exec(), Memory::pinned, 1001);
  Fence fence(exec());
  EXPECT_TRUE(fence.reached()) << "nothing is recorded";
  fence.wait();
  for (const uint8_t round : {1, 2, 3}) {  // a fence is used again
    std::fill_n(pinned.as<uint8_t>().data(), 1001, round);
    copy(exec(), device.data(), pinned.data(), 1001);
    copy(exec(), back.data(), device.data(), 1001);
    fence.record();
    // Behind the fence, and so not waited for.
    fill_zero(exec(), device.data(), 1001);
    if (round == 2) {
      while (!fence.reached()) {
      }
    } else {
      fence.wait();
    }
    EXPECT_TRUE(fence.reached());
    const std::span<const uint8_t> arrived = back.as<uint8_t>();
    EXPECT_EQ(std::vector(arrived.begin(), arrived.end()), std::vector<uint8_t>(1001, round));
  }
  synchronize(exec());
}

TEST_P(BufferTest, RefusesMoreThanTheGpuHas) {
  if (!exec().on_cuda()) GTEST_SKIP() << "the memory of a GPU";
  try {
    const Buffer buffer(exec(), Memory::device, size_t{1} << 50);
    FAIL() << "it was allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::memory);
    EXPECT_NE(std::string(error.what()).find("out of GPU memory"), std::string::npos) << error.what();
  }
  // The refusal is no error of what comes next.
  const Buffer small(exec(), Memory::device, 100);
  fill_zero(exec(), small.data(), 100);
  synchronize(exec());
}

// The system would promise this much, and end the process when it is used.
TEST(Buffer, RefusesAllTheMemoryOfTheMachine) {
  const size_t everything =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  try {
    const Buffer buffer({}, Memory::host, everything);
    FAIL() << "it was allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::memory);
    EXPECT_NE(std::string(error.what()).find("out of host memory"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
