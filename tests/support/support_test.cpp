// The tools of the tests must themselves be able to fail.
#include <gtest/gtest-spi.h>

#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep::test {
namespace {

TEST(Guarded, SeesAWriteBeforeTheStartAndPastTheEnd) {
  const Guarded<float> tensor({}, {3}, {1, 2, 3});
  float* data = tensor.tensor().data<float>();
  const float before = data[-1], after = data[3];
  data[3] = 0;
  EXPECT_NONFATAL_FAILURE(tensor.values(), "past the end");
  data[3] = after;
  data[-1] = 0;
  EXPECT_NONFATAL_FAILURE(tensor.values(), "before the start");
  data[-1] = before;
  EXPECT_EQ(tensor.values(), (std::vector<float>{1, 2, 3}));
}

TEST(ExpectClose, FailsBeyondTheToleranceAndOnNaN) {
  const Tolerance tolerance{0.1, 0, "a test"};
  expect_close({1.05f}, {1}, tolerance, "within");
  EXPECT_NONFATAL_FAILURE(expect_close({0, 1.2f}, {0, 1}, {0.1, 0, "a test"}, "x"), "element 1 of 2");
  EXPECT_NONFATAL_FAILURE(expect_close({NAN}, {1}, {0.1, 0, "a test"}, "x"), "nan");
  EXPECT_NONFATAL_FAILURE(expect_close({1}, {NAN}, {0.1, 0, "a test"}, "x"), "nan");
}

TEST(NumericGradient, KnowsSlopesAndKinks) {
  const auto f = [](const Doubles& x) {
    Doubles y;
    for (const double value : x) y.push_back(value > 0 ? value * value : 0.5 * value);
    return y;
  };
  const NumericGradient gradient = numeric_gradient(f, {3, -1, 0, 1, 2, 4, 5, 6, 7, 8}, Doubles(10, 2.0));
  EXPECT_NEAR(gradient.values[0], 12, 1e-6);
  EXPECT_NEAR(gradient.values[1], 1, 1e-6);
  EXPECT_EQ(gradient.kink,
            (std::vector<bool>{false, false, true, false, false, false, false, false, false, false}));
}

}  // namespace
}  // namespace lockstep::test
