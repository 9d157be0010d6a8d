#include "src/device/elementwise.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(AddInPlace, AddsEveryElementAndNoMore) {
  for (const int64_t n : {0, 1, 3, 64, 1001}) {
    std::vector<float> destination(n + 1, 2.0f), source(n + 1);
    for (int64_t i = 0; i <= n; ++i) source[i] = static_cast<float>(i) * 0.5f;
    add_in_place(Exec{}, destination.data(), source.data(), n);
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(destination[i], 2.0f + static_cast<float>(i) * 0.5f);
    EXPECT_EQ(destination[n], 2.0f);
  }
}

}  // namespace
}  // namespace lockstep
