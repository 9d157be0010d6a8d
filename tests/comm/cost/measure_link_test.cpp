#include "comm/cost/measure_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace lockstep {
namespace {

constexpr int64_t kOneMiB = 1 << 20;

/// Seconds of all sums when nothing hides them: the latency of each bucket, and the last one's way.
double seconds(const Link& link, double total, double bucket) {
  return std::ceil(total / bucket) * link.latency + bucket * link.seconds_per_byte;
}

TEST(ChooseBucketBytes, NoOtherPowerOfTwoIsMuchBetter) {
  for (const double latency : {1e-6, 2e-5, 5e-4}) {
    for (const double seconds_per_byte : {5e-12, 1e-10, 1e-8}) {
      for (const int64_t total : {kOneMiB, 25 * kOneMiB, 400 * kOneMiB}) {
        const Link link{latency, seconds_per_byte};
        const int64_t chosen = choose_bucket_bytes(link, total);
        double best = 1e9;
        for (int64_t bytes = kOneMiB; bytes <= total; bytes *= 2)
          best = std::min(best, seconds(link, static_cast<double>(total), static_cast<double>(bytes)));
        EXPECT_LE(seconds(link, static_cast<double>(total), static_cast<double>(chosen)), 1.3 * best)
            << latency << " s, " << seconds_per_byte << " s/byte, " << total << " bytes: " << chosen;
      }
    }
  }
}

TEST(ChooseBucketBytes, StaysBetweenItsLimits) {
  EXPECT_EQ(choose_bucket_bytes({0, 1e-9}, 25 * kOneMiB), kOneMiB) << "no latency";
  EXPECT_EQ(choose_bucket_bytes({1, 1e-12}, 16 * kOneMiB), 16 * kOneMiB) << "latency alone: one bucket";
  EXPECT_EQ(choose_bucket_bytes({1e-6, 0}, 16 * kOneMiB), 16 * kOneMiB) << "too fast to measure";
  EXPECT_EQ(choose_bucket_bytes({1e-6, 1e-9}, 100), kOneMiB);
  EXPECT_EQ(choose_bucket_bytes({1e-6, 1e-9}, 0), kOneMiB);
}

}  // namespace
}  // namespace lockstep
