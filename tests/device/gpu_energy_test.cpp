#include "src/device/gpu_energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(GpuEnergy, IsWhatTheDriverCounts) {
  const GpuEnergy energy("0000:0A:00.0", LOCKSTEP_FAKE_NVML);
  ASSERT_EQ(energy.reason(), "");
  const std::optional<double> first = energy.joules(), second = energy.joules();
  ASSERT_TRUE(first && second);
  EXPECT_DOUBLE_EQ(*second - *first, 0.5);
}

TEST(GpuEnergy, SaysWhyThereIsNone) {
  const GpuEnergy without_counter("0000:0B:00.0", LOCKSTEP_FAKE_NVML);
  EXPECT_EQ(without_counter.reason(), "NVML reports for GPU 0000:0B:00.0: Not Supported");
  EXPECT_EQ(without_counter.joules(), std::nullopt);
  const GpuEnergy elsewhere("0001:00:00.0", LOCKSTEP_FAKE_NVML);
  EXPECT_EQ(elsewhere.reason(), "NVML reports for GPU 0001:00:00.0: Not Found");
}

TEST(GpuEnergy, NeedsNoDriver) {
  const GpuEnergy energy("0000:0A:00.0", "libno-such-library.so");
  EXPECT_EQ(energy.reason(), "libno-such-library.so of the NVIDIA driver cannot be loaded");
  EXPECT_EQ(energy.joules(), std::nullopt);
  // A library with none of the functions.
  EXPECT_EQ(GpuEnergy("0000:0A:00.0", "libm.so.6").reason(),
            "the NVIDIA driver is older than its energy counter");
}

}  // namespace
}  // namespace lockstep
