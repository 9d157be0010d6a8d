#include "io/statistics/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/core/rng.h"

namespace lockstep {
namespace {

struct Bins {
  double width = 0, first = 0;
  std::vector<int64_t> counts = {};
  bool operator==(const Bins&) const = default;
};

Bins bins_of(const Histogram& histogram) {
  Bins bins{.width = histogram.width(), .first = histogram.bins() > 0 ? histogram.lower_bound(0) : 0};
  for (int64_t i = 0; i < histogram.bins(); ++i) bins.counts.push_back(histogram.count(i));
  return bins;
}

Histogram histogram_of(const std::vector<double>& values, int min_exponent = -200) {
  Histogram histogram(min_exponent);
  for (const double value : values) histogram.add(value);
  return histogram;
}

TEST(Histogram, HasTheNarrowestBinsThatHoldAllValues) {
  std::vector<double> bytes(256);
  std::iota(bytes.begin(), bytes.end(), 0);
  EXPECT_EQ(bins_of(histogram_of(bytes)), (Bins{16, 0, std::vector<int64_t>(16, 16)}));
  EXPECT_EQ(bins_of(histogram_of({-0.5, 0.25, 0.3, 0.5})).width, 0.0625);
  EXPECT_EQ(bins_of(histogram_of({0, 1, 1, 3}, 0)), (Bins{1, 0, {1, 2, 0, 1}}));
  EXPECT_EQ(bins_of(Histogram()).counts.size(), 0u);
}

TEST(Histogram, CountsEachValueInItsBin) {
  std::vector<double> values;
  RandomStream random(1, 2);
  for (int i = 0; i < 10000; ++i) values.push_back(1000 + 3 * random.next_normal());
  const Histogram histogram = histogram_of(values);
  int64_t all = 0;
  for (int64_t bin = 0; bin < histogram.bins(); ++bin) {
    const double low = histogram.lower_bound(bin);
    EXPECT_EQ(histogram.count(bin), std::ranges::count_if(values, [&](double value) {
                return value >= low && value < low + histogram.width();
              }));
    all += histogram.count(bin);
  }
  EXPECT_EQ(all, 10000);
  EXPECT_GT(histogram.bins(), Histogram::kBins / 2);
}

TEST(Histogram, DependsNeitherOnOrderNorOnParts) {
  RandomStream random(3, 4);
  for (int round = 0; round < 200; ++round) {
    const double scale = std::ldexp(1, static_cast<int>(random.next_below(400)) - 200);
    const double offset = round % 3 == 0 ? scale * 0x1p31 : round % 3 == 1 ? 0 : -scale * 0x1p29;
    std::vector<double> values;
    for (int i = 0; i < 50; ++i) values.push_back(offset + scale * random.next_normal());
    if (round % 2 == 0) values.push_back(0);
    const Bins forward = bins_of(histogram_of(values));
    std::vector<double> sorted(values);
    std::ranges::sort(sorted);
    EXPECT_EQ(bins_of(histogram_of(sorted)), forward);
    Histogram joined = histogram_of({values.begin() + 20, values.end()});
    joined.add(Histogram());
    joined.add(histogram_of({values.begin(), values.begin() + 20}));
    EXPECT_EQ(bins_of(joined), forward);
    Histogram empty;
    empty.add(joined);
    EXPECT_EQ(bins_of(empty), forward);
  }
}

TEST(Histogram, KeepsTheSignOfWhatIsTinyBesideOthers) {
  const Bins expected{.width = 8, .first = -8, .counts = {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  EXPECT_EQ(bins_of(histogram_of({-0x1p-150, 0x1p-150, 100})), expected);
  EXPECT_EQ(bins_of(histogram_of({100, -0x1p-150, 0x1p-150})), expected);
  Histogram joined = histogram_of({-0x1p-150});
  joined.add(histogram_of({100, 0x1p-150}));
  EXPECT_EQ(bins_of(joined), expected);
}

TEST(Histogram, TakesTheLargestAndTheSmallestDoubles) {
  const Histogram histogram = histogram_of({1.7e308, -1.7e308, 4e-324, -4e-324, 0});
  int64_t all = 0;
  for (int64_t bin = 0; bin < histogram.bins(); ++bin) all += histogram.count(bin);
  EXPECT_EQ(all, 5);
}

}  // namespace
}  // namespace lockstep
