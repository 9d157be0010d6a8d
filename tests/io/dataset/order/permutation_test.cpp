#include "io/dataset/order/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "src/core/error.h"

namespace lockstep {
namespace {

TEST(Permutation, IsABijectionForEverySize) {
  std::vector<uint64_t> sizes;
  for (uint64_t n = 0; n <= 300; ++n) sizes.push_back(n);
  for (const uint64_t n : {1023ull, 1024ull, 1025ull, 4095ull, 4097ull, 10007ull, 60000ull, 65537ull})
    sizes.push_back(n);
  for (const uint64_t n : sizes) {
    for (const uint64_t key : {0ull, 1ull, 0xfeedfacecafebeefull}) {
      const Permutation permutation(key, n);
      std::vector<bool> seen(n);
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t image = permutation(i);
        ASSERT_LT(image, n);
        ASSERT_FALSE(seen[image]) << "n " << n << " key " << key;
        seen[image] = true;
        ASSERT_EQ(permutation.position_of(image), i) << "n " << n << " key " << key;
      }
    }
  }
}

TEST(Permutation, WorksFarBeyondMemory) {
  for (const uint64_t n : {(uint64_t{1} << 40), (uint64_t{1} << 40) - 12345, (uint64_t{1} << 36) + 1}) {
    const Permutation permutation(42, n);
    std::set<uint64_t> images;
    for (uint64_t i = 0; i < 20000; ++i) {
      const uint64_t image = permutation(i * (n / 20000));
      ASSERT_LT(image, n);
      ASSERT_TRUE(images.insert(image).second);
      ASSERT_EQ(permutation.position_of(image), i * (n / 20000));
    }
  }
}

TEST(Permutation, RefusesAPositionBehindTheEnd) {
  EXPECT_THROW(Permutation(1, 10)(10), Error);
  EXPECT_THROW(Permutation(1, 0)(0), Error);
  EXPECT_THROW(Permutation(1, 10).position_of(10), Error);
}

// Over many keys each position goes to each index equally often: a chi-square test for every pair at small
// sizes, and for 16 classes of indices at larger ones.
TEST(Permutation, IsUniform) {
  for (const uint64_t n : {2ull, 3ull, 5ull, 16ull, 100ull, 1000ull}) {
    const size_t cells = std::min<uint64_t>(n, 16);
    constexpr int kKeys = 20000;
    for (const uint64_t position : {uint64_t{0}, n / 2, n - 1}) {
      std::vector<double> counts(cells), expected(cells);
      for (uint64_t i = 0; i < n; ++i)
        expected[i * cells / n] += static_cast<double>(kKeys) / static_cast<double>(n);
      for (uint64_t key = 0; key < kKeys; ++key)
        ++counts[Permutation(key * 0x9e3779b97f4a7c15ull, n)(position) * cells / n];
      double chi_square = 0;
      for (size_t c = 0; c < cells; ++c)
        chi_square += (counts[c] - expected[c]) * (counts[c] - expected[c]) / expected[c];
      // Five standard deviations above the mean of chi-square with cells - 1 degrees of freedom. Keys are
      // fixed.
      const double freedom = static_cast<double>(cells - 1);
      EXPECT_LT(chi_square, freedom + 5 * std::sqrt(2 * freedom)) << "n " << n << " position " << position;
    }
  }
}

// Neighbours are independent: the difference of the images of i and i + 1 is uniform modulo n.
TEST(Permutation, NeighboursAreIndependent) {
  constexpr uint64_t kSize = 60000, kCells = 50;
  const Permutation permutation(7, kSize);
  std::vector<double> counts(kCells);
  for (uint64_t i = 0; i + 1 < kSize; ++i)
    ++counts[(permutation(i + 1) + kSize - permutation(i)) % kSize * kCells / kSize];
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - 1200) * (count - 1200) / 1200;
  EXPECT_LT(chi_square, 49 + 5 * std::sqrt(2 * 49.0));
}

}  // namespace
}  // namespace lockstep
