#include "src/optim/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bitset>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "src/core/rng.h"

namespace lockstep {
namespace {

/// A sum in binary, one bit at a time. Bit i counts 2^(i - kPoint).
class BitwiseSum {
 public:
  void add(double term) {
    int exponent = 0;
    double rest = std::frexp(term, &exponent);  // rest * 2^exponent, rest in [0.5, 1)
    for (int i = exponent - 1; rest > 0; --i) {
      rest *= 2;
      if (rest < 1) continue;
      rest -= 1;
      add_bit(i + kPoint);
    }
  }

  /// To nearest, ties to even.
  double value() const {
    int top = kBits - 1;
    while (top >= 0 && !bits_[static_cast<size_t>(top)]) --top;
    if (top < 0) return 0;
    const int last = top - 52;  // of the mantissa
    double mantissa = 0;
    for (int i = top; i >= last; --i) mantissa = 2 * mantissa + (bit(i) ? 1 : 0);
    bool below_half = false;
    for (int i = 0; i < last - 1; ++i) below_half = below_half || bit(i);
    if (bit(last - 1) && (below_half || bit(last))) mantissa += 1;
    return std::ldexp(mantissa, last - kPoint);
  }

 private:
  static constexpr int kBits = 700, kPoint = 350;
  bool bit(int i) const { return i >= 0 && bits_[static_cast<size_t>(i)]; }
  void add_bit(int i) {
    for (; bits_[static_cast<size_t>(i)]; ++i) bits_[static_cast<size_t>(i)] = false;
    bits_[static_cast<size_t>(i)] = true;
  }
  std::bitset<kBits> bits_;
};

/// What a double makes of a few squares of floats of about this size.
double random_term(RandomStream& random, int exponent) {
  double sum = 0;
  for (uint32_t i = random.next_below(64) + 1; i > 0; --i) {
    const auto value = static_cast<double>(std::ldexp(random.next_normal(), exponent));
    sum += value * value;
  }
  return sum;
}

std::vector<double> random_terms(uint64_t seed, uint32_t count, int lowest, int highest) {
  RandomStream random(31, seed);
  std::vector<double> terms;
  for (uint32_t i = 0; i < count; ++i)
    terms.push_back(random_term(
        random, lowest + static_cast<int>(random.next_below(static_cast<uint32_t>(highest - lowest + 1)))));
  return terms;
}

ExactSum sum_of(const std::vector<double>& terms) {
  ExactSum sum;
  for (const double term : terms) sum.add(term);
  return sum;
}

TEST(ExactSum, IsTheSumRoundedOnce) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    // Terms of all sizes, and terms of nearly the same, of which no bit is lost below the others.
    const int lowest = seed % 2 == 0 ? -140 : static_cast<int>(2 * seed) - 60;
    const std::vector<double> terms =
        random_terms(seed, static_cast<uint32_t>(seed), lowest, seed % 2 == 0 ? 120 : lowest + 8);
    BitwiseSum oracle;
    for (const double term : terms) oracle.add(term);
    EXPECT_EQ(sum_of(terms).value(), oracle.value()) << seed;
  }
}

TEST(ExactSum, NeitherOrderNorPartsMatter) {
  std::vector<double> terms = random_terms(7, 200, -100, 100);
  const double expected = sum_of(terms).value();
  std::sort(terms.begin(), terms.end());
  EXPECT_EQ(sum_of(terms).value(), expected);
  EXPECT_NE(std::accumulate(terms.begin(), terms.end(), 0.0),
            std::accumulate(terms.rbegin(), terms.rend(), 0.0))
      << "the order of these terms does not matter to doubles either";
  for (const size_t parts : {2, 3, 7}) {
    std::vector<ExactSum> sums(parts);
    for (size_t i = 0; i < terms.size(); ++i) sums[i % parts].add(terms[i]);
    ExactSum total;
    for (const ExactSum& sum : sums) total.add(sum);
    EXPECT_EQ(total.value(), expected) << parts;
  }
}

TEST(ExactSum, ReachesFromTheLeastToTheGreatestSum) {
  const auto least = static_cast<double>(std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(sum_of({least * least}).value(), 0x1p-298);
  EXPECT_EQ(sum_of({least * least, least * least}).value(), 0x1p-297);
  EXPECT_EQ(sum_of({}).value(), 0);
  EXPECT_EQ(sum_of({0.0, -0.0}).value(), 0);
  // 2^30 blocks of the greatest floats: a buffer of 256 GiB.
  const auto greatest = static_cast<double>(std::numeric_limits<float>::max());
  ExactSum sum = sum_of({64 * greatest * greatest});
  for (int doubling = 0; doubling < 30; ++doubling) sum.add(ExactSum(sum));
  EXPECT_EQ(sum.value(), std::ldexp(64 * greatest * greatest, 30));
  sum.add(least * least);  // rounded away, not lost on the way
  EXPECT_EQ(sum.value(), std::ldexp(64 * greatest * greatest, 30));
}

TEST(ExactSum, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(sum_of({1, 0x1p-53}).value(), 1);
  EXPECT_EQ(sum_of({1, 0x1p-53, 0x1p-298}).value(), 1 + 0x1p-52);
  EXPECT_EQ(sum_of({1 + 0x1p-52, 0x1p-53}).value(), 1 + 0x1p-51);
  EXPECT_EQ(sum_of({1 + 0x1p-52, 0x1p-54}).value(), 1 + 0x1p-52);
  EXPECT_EQ(sum_of({2 - 0x1p-52, 0x1p-53}).value(), 2);
}

TEST(ExactSum, KnowsInfinityAndWhatIsNoNumber) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum_of({1, kInfinity, 2}).value(), kInfinity);
  EXPECT_EQ(sum_of({kInfinity, kInfinity}).value(), kInfinity);
  EXPECT_TRUE(std::isnan(sum_of({1, std::nan(""), kInfinity}).value()));
  ExactSum sum;
  sum.add(sum_of({-std::nan("")}));
  EXPECT_TRUE(std::isnan(sum.value()));
}

TEST(ExactSum, WordsCanBeAddedApart) {
  // As the threads of a GPU do.
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double term : {0.0, 0x1p-298, 0x1.8p-270, 1.0, 1 + 0x1p-52, 0x1.fffffffffffffp+261, infinity}) {
    ExactSum sum;
    for (int word = 0; word < ExactSum::kWords; ++word) sum.words[word] = ExactSum::contribution(term, word);
    EXPECT_EQ(sum.value(), term);
  }
}

}  // namespace
}  // namespace lockstep
