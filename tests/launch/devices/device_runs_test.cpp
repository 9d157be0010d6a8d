#include "launch/devices/device_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;

DevicePoint point(Work work, Backend backend, int64_t threads, int64_t batch) {
  return {.work = work, .place = {backend, threads}, .batch = batch, .ms = {}, .samples_per_s = {}};
}

TEST(DevicePlaces, ThreadsDoubleUpToAllCores) {
  EXPECT_THAT(powers_of_two_up_to(1), ElementsAre(1));
  EXPECT_THAT(powers_of_two_up_to(2), ElementsAre(1, 2));
  EXPECT_THAT(powers_of_two_up_to(8), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(powers_of_two_up_to(12), ElementsAre(1, 2, 4, 8, 12));
}

TEST(DevicePlaces, AreNamed) {
  EXPECT_EQ(to_string(Place{Backend::cpu, 1}), "cpu, 1 thread");
  EXPECT_EQ(to_string(Place{Backend::cpu, 4}), "cpu, 4 threads");
  EXPECT_EQ(to_string(Place{Backend::cuda, 0}), "cuda");
}

TEST(DevicePoints, AreRelativeToTheFewestThreadsWithTheSameBatch) {
  const std::vector<DevicePoint> points = {
      point(Work::training, Backend::cuda, 0, 32),  point(Work::training, Backend::cpu, 4, 32),
      point(Work::training, Backend::cpu, 2, 32),   point(Work::training, Backend::cpu, 1, 64),
      point(Work::prediction, Backend::cpu, 1, 32), point(Work::prediction, Backend::cuda, 0, 64)};
  for (const size_t i : {0, 1, 2}) EXPECT_EQ(reference_of(points, points[i]), &points[2]) << i;
  EXPECT_EQ(reference_of(points, points[3]), &points[3]);
  EXPECT_EQ(reference_of(points, points[4]), &points[4]);
  EXPECT_EQ(reference_of(points, points[5]), nullptr) << "no CPU has predicted with that batch";
}

}  // namespace
}  // namespace lockstep
