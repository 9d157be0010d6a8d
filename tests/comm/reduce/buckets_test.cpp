#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/reduce/gradient_reducer.h"
#include "src/core/error.h"

namespace lockstep {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kFloats = kMiB / 4;  // in a MiB

std::vector<std::pair<int64_t, int64_t>> cut(const std::vector<int64_t>& ends, int64_t bucket_bytes) {
  std::vector<std::pair<int64_t, int64_t>> result;
  for (const Bucket& bucket : make_buckets(ends, bucket_bytes))
    result.emplace_back(bucket.offset, bucket.size);
  return result;
}

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Buckets, FirstIsSmallAndTheOthersCloseAtTheFirstBoundaryPastTheSize) {
  const std::vector<int64_t> ends = {kFloats / 2, kFloats, 3 * kFloats, 5 * kFloats, 6 * kFloats};
  EXPECT_THAT(cut(ends, 4 * kMiB),
              ElementsAre(Pair(0, kFloats), Pair(kFloats, 4 * kFloats), Pair(5 * kFloats, kFloats)));
}

TEST(Buckets, ASmallModelIsOneBucket) {
  EXPECT_THAT(cut({64, 128, 50000}, 25 * kMiB), ElementsAre(Pair(0, 50000)));
}

TEST(Buckets, ABucketSizeBelowTheFirstBucketsHoldsForItToo) {
  EXPECT_THAT(cut({64, 128, 192}, 1), ElementsAre(Pair(0, 64), Pair(64, 64), Pair(128, 64)));
}

TEST(Buckets, ALayerLongerThanABucketIsNotCut) {
  EXPECT_THAT(cut({10 * kFloats, 11 * kFloats}, kMiB),
              ElementsAre(Pair(0, 10 * kFloats), Pair(10 * kFloats, kFloats)));
}

TEST(Buckets, LayersWithoutParametersMakeNoBucket) {
  EXPECT_THAT(cut({}, kMiB), IsEmpty());
  EXPECT_THAT(cut({0, 0}, kMiB), IsEmpty());
  EXPECT_THAT(cut({0, 64, 64}, 1), ElementsAre(Pair(0, 64)));
  EXPECT_THAT(cut({32, 64, 64}, kMiB), ElementsAre(Pair(0, 64)));
}

TEST(Buckets, RefusesEndsThatGoBack) { EXPECT_THROW(cut({64, 32}, 1), Error); }

}  // namespace
}  // namespace lockstep
