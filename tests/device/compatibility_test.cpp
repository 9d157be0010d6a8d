#include "src/device/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A machine with one GPU with which nothing is wrong.
DeviceReport good_machine() {
  DeviceReport report;
  report.gpus.push_back({0, "A GPU", 9, 0, int64_t{1} << 37, "0000:01:00.0"});
  report.driver_version = report.runtime_version = 13000;
  report.architectures = "90";
  return report;
}

DeviceReport machine_without_gpu() {
  DeviceReport report;
  report.runtime_version = 13000;
  report.reason = "no NVIDIA driver on this machine";
  return report;
}

TEST(Compatibility, ADriverOfTheSameMajorVersionIsNewEnough) {
  EXPECT_EQ(driver_obstacle(13000, 13000), "");
  EXPECT_EQ(driver_obstacle(13020, 13000), "");
  EXPECT_EQ(driver_obstacle(13000, 13020), "") << "an older minor version runs it too";
  EXPECT_EQ(driver_obstacle(14000, 13000), "");
}

TEST(Compatibility, AnOlderDriverIsNamedWithTheRemedy) {
  EXPECT_EQ(
      driver_obstacle(12090, 13000),
      "the NVIDIA driver supports CUDA 12.9 and this build needs 13.0: update the driver to 580 or newer, or "
      "build with the CUDA 12 Toolkit");
  EXPECT_THAT(driver_obstacle(11080, 12040), AllOf(HasSubstr("11.8"), HasSubstr("525.60.13 or newer")));
  EXPECT_THAT(driver_obstacle(13000, 14000), HasSubstr("update the driver, or"))
      << "a toolkit of the future: no release is made up for it";
  EXPECT_EQ(driver_obstacle(0, 13000), "no NVIDIA driver on this machine");
}

TEST(Compatibility, MachineCodeRunsOnItsMajorVersionAndPtxOnAllThatFollow) {
  EXPECT_TRUE(has_code_for("80-real,90", 9, 0));
  EXPECT_TRUE(has_code_for("80-real", 8, 6));
  EXPECT_TRUE(has_code_for("80-real,90", 12, 0)) << "from the PTX of 90";
  EXPECT_TRUE(has_code_for("75-virtual", 9, 0));
  EXPECT_FALSE(has_code_for("86-real", 8, 0));
  EXPECT_FALSE(has_code_for("80-real,90", 7, 5));
  EXPECT_FALSE(has_code_for("90-real", 10, 0));
  EXPECT_FALSE(has_code_for("90-virtual", 8, 9));
}

TEST(Compatibility, CodeForOneChipRunsOnNoOther) {
  EXPECT_TRUE(has_code_for("90a", 9, 0));
  EXPECT_FALSE(has_code_for("90a", 10, 0));
}

TEST(Compatibility, WhatIsNotKnownIsNoProblem) {
  EXPECT_TRUE(has_code_for("", 9, 0));
  EXPECT_TRUE(has_code_for("native", 9, 0));
}

TEST(Compatibility, AGoodMachineHasNoProblem) { EXPECT_THAT(gpu_problems(good_machine(), true), IsEmpty()); }

TEST(Compatibility, NoGpuIsAProblemOnlyWhereOneIsAskedFor) {
  EXPECT_THAT(gpu_problems(machine_without_gpu(), false), IsEmpty());
  EXPECT_THAT(gpu_problems(machine_without_gpu(), true),
              ElementsAre(AllOf(HasSubstr("no NVIDIA driver"), HasSubstr("run.device"))));
}

TEST(Compatibility, AnOldDriverIsAProblemThoughNoGpuIsAskedFor) {
  DeviceReport report = machine_without_gpu();
  report.driver_version = 12020;
  EXPECT_THAT(gpu_problems(report, false), ElementsAre(HasSubstr("update the driver to 580")));
  EXPECT_THAT(gpu_problems(report, true), ElementsAre(HasSubstr("update the driver to 580")));
}

TEST(Compatibility, AGpuWithoutCodeAndAMissingLibraryAreEachNamed) {
  DeviceReport report = good_machine();
  report.gpus.push_back({1, "An older GPU", 7, 5, int64_t{1} << 34, "0000:02:00.0"});
  report.missing = {"cannot load libcublasLt.so.13"};
  EXPECT_THAT(gpu_problems(report, false),
              ElementsAre(AllOf(HasSubstr("GPU 1 (An older GPU"), HasSubstr("-DCMAKE_CUDA_ARCHITECTURES=75")),
                          HasSubstr("libcublasLt")));
}

TEST(Compatibility, VersionsReadAsTheirLibrariesWriteThem) {
  EXPECT_EQ(dotted_version(91900), "9.19.0");
  EXPECT_EQ(dotted_version(130100), "13.1.0");
  EXPECT_EQ(dotted_version(22809), "2.28.9");
}

}  // namespace
}  // namespace lockstep
