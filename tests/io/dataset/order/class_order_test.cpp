#include "io/dataset/order/class_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "src/core/error.h"

namespace lockstep {
namespace {

/// 700 samples of class 0, 250 of class 1, none of class 2, 40 of class 3, and 10 without one.
std::vector<int64_t> labels() {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < 1000; ++i) all.push_back(i < 700 ? 0 : i < 950 ? 1 : i < 990 ? 3 : -1);
  return all;
}

/// How often each sample occurs in an epoch.
std::vector<int64_t> occurrences(const ClassOrder& order, uint64_t key) {
  std::vector<int64_t> counts(1000);
  for (int64_t i = 0; i < 1000; ++i) ++counts[static_cast<size_t>(order.sample(key, i))];
  return counts;
}

TEST(ClassOrder, GivesEachClassItsShareAndEachOfItsSamplesTheSame) {
  for (const std::vector<double>& shares :
       std::vector<std::vector<double>>{{1, 1, 1, 1}, {1, 2, 7, 5}, {0, 1, 0, 0}, {0.5, 0.25, 1, 0.125}}) {
    const ClassOrder order(labels(), shares);
    const double all = shares[0] + shares[1] + shares[3];
    for (const uint64_t key : {1u, 77u}) {
      std::vector<int64_t> of_class(4), least(4, 1000), most(4);
      const std::vector<int64_t> counts = occurrences(order, key);
      for (size_t i = 0; i < 1000; ++i) {
        if (labels()[i] < 0) {
          EXPECT_EQ(counts[i], 0);
          continue;
        }
        const auto c = static_cast<size_t>(labels()[i]);
        of_class[c] += counts[i];
        least[c] = std::min(least[c], counts[i]);
        most[c] = std::max(most[c], counts[i]);
      }
      EXPECT_EQ(of_class, order.counts());
      for (const size_t c : {0, 1, 3}) {
        EXPECT_NEAR(static_cast<double>(of_class[c]), 1000 * shares[c] / all, 1.0);
        EXPECT_LE(most[c] - least[c], 1) << c;
      }
    }
  }
}

TEST(ClassOrder, MixesClassesThroughoutTheEpochAndDiffersBetweenEpochs) {
  const ClassOrder order(labels(), {1, 1, 1, 1});
  for (int64_t begin = 0; begin < 1000; begin += 200) {
    std::vector<int64_t> of_class(4);
    for (int64_t i = begin; i < begin + 200; ++i)
      ++of_class[static_cast<size_t>(labels()[static_cast<size_t>(order.sample(5, i))])];
    for (const size_t c : {0, 1, 3}) EXPECT_NEAR(static_cast<double>(of_class[c]), 67, 25);
  }
  int64_t equal = 0, same_choice = 0;
  const std::vector<int64_t> a = occurrences(order, 1), b = occurrences(order, 2);
  for (int64_t i = 0; i < 1000; ++i) equal += order.sample(1, i) == order.sample(2, i) ? 1 : 0;
  for (size_t i = 0; i < 700; ++i) same_choice += a[i] == b[i] ? 1 : 0;
  EXPECT_LT(equal, 30);
  EXPECT_LT(same_choice, 500);  // another third to half of class 0
}

TEST(ClassOrder, RefusesSharesOfNothing) { EXPECT_THROW(ClassOrder(labels(), {0, 0, 1, 0}), Error); }

}  // namespace
}  // namespace lockstep
