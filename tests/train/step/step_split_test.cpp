#include "src/train/step/step_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using ::testing::Optional;

/// Ranks that compute 10 ms per step each, and one that also spends `more` on something.
std::vector<StepSplit> even_but_one(int ranks, int slow, double StepSplit::*part, double more,
                                    int64_t steps) {
  std::vector<StepSplit> all(static_cast<size_t>(ranks), StepSplit{.compute = 0.010, .communication = 0.002});
  for (int rank = 0; rank < ranks; ++rank) {
    StepSplit& split = all[static_cast<size_t>(rank)];
    if (rank == slow)
      split.*part += more;
    else
      split.wait += more;
    for (double StepSplit::*each : {&StepSplit::read, &StepSplit::decode, &StepSplit::copy,
                                    &StepSplit::compute, &StepSplit::communication, &StepSplit::wait})
      split.*each *= static_cast<double>(steps);
  }
  return all;
}

TEST(CompareRanks, FindsTheSlowestTheMedianAndTheMean) {
  const StepReport report = compare_ranks(even_but_one(5, 3, &StepSplit::decode, 0.004, 50), 50);
  EXPECT_EQ(report.ranks, 5);
  EXPECT_EQ(report.steps, 50);
  EXPECT_EQ(report.slowest_rank, 3);
  EXPECT_NEAR(report.slowest.decode, 0.004, 1e-12);
  EXPECT_NEAR(report.median.own(), 0.010, 1e-12);
  EXPECT_NEAR(report.mean.decode, 0.004 / 5, 1e-12);
  EXPECT_NEAR(report.mean.wait, 0.004 * 4 / 5, 1e-12);
  EXPECT_NEAR(report.mean.total(), 0.016, 1e-12);
}

TEST(CompareRanks, OfTwoTheFasterIsTheMedian) {
  const StepReport report = compare_ranks(even_but_one(2, 0, &StepSplit::compute, 0.003, 7), 7);
  EXPECT_EQ(report.slowest_rank, 0);
  EXPECT_NEAR(report.median.own(), 0.010, 1e-12);
}

TEST(StragglerLine, NamesTheRankAndWhatItSpendsMoreOn) {
  const auto line = [](double StepSplit::*part, double more) {
    return straggler_line(compare_ranks(even_but_one(4, 3, part, more, 10), 10), "node7",
                          {"/data/a.h5", "b.h5"});
  };
  EXPECT_THAT(line(&StepSplit::read, 0.006),
              Optional(std::string("rank 3 (node7) slows each step down by 50 %: read +6.00 ms per step "
                                   "(/data/a.h5 and 1 more)")));
  EXPECT_THAT(
      line(&StepSplit::compute, 0.0024),
      Optional(std::string("rank 3 (node7) slows each step down by 20 %: compute +2.40 ms per step")));
}

TEST(StragglerLine, ListsPartsByTheirSizeAndLeavesSmallOnesOut) {
  std::vector<StepSplit> ranks(3, StepSplit{.read = 0.001, .compute = 0.010});
  ranks[1] = {.read = 0.0015, .decode = 0.004, .copy = 0.002, .compute = 0.011};
  EXPECT_THAT(straggler_line(compare_ranks(ranks, 1), "h", {}),
              Optional(std::string("rank 1 (h) slows each step down by 68 %: decode +4.00 ms per step, copy "
                                   "+2.00 ms per step")));
}

TEST(StragglerLine, IsQuietWhenRanksAreEven) {
  const auto quiet = [](const std::vector<StepSplit>& ranks) {
    return straggler_line(compare_ranks(ranks, 1), "h", {"f"}) == std::nullopt;
  };
  EXPECT_TRUE(quiet(even_but_one(1, 0, &StepSplit::compute, 0, 1)));
  EXPECT_TRUE(quiet(even_but_one(8, 2, &StepSplit::compute, 0, 1)));
  EXPECT_TRUE(quiet(even_but_one(8, 2, &StepSplit::read, 0.0011, 1))) << "9 %";
  EXPECT_FALSE(quiet(even_but_one(8, 2, &StepSplit::read, 0.0013, 1))) << "11 %";
  // Half as slow again, but of next to nothing.
  EXPECT_TRUE(quiet({StepSplit{.compute = 0.0001}, StepSplit{.compute = 0.00015}}));
}

}  // namespace
}  // namespace lockstep
