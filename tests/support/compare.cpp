#include "tests/support/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace lockstep::test {

Doubles to_double(const std::vector<float>& values) { return {values.begin(), values.end()}; }

double norm(const Doubles& values) { return distance(values, Doubles(values.size())); }

double distance(const Doubles& a, const Doubles& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

void expect_close(const std::vector<float>& actual, const Doubles& expected, const Tolerance& tolerance,
                  const char* what, const std::vector<bool>& skip) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (!skip.empty() && skip[i]) continue;
    double excess = 0;
    if (std::isnan(expected[i]) || std::isnan(actual[i]))
      excess = std::isnan(expected[i]) && std::isnan(actual[i]) ? 0 : HUGE_VAL;
    else if (actual[i] != expected[i])
      excess = std::abs(actual[i] - expected[i]) -
               (tolerance.absolute + tolerance.relative * std::abs(expected[i]));
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  if (worst > 0)
    ADD_FAILURE() << what << ": element " << at << " of " << actual.size() << " is " << actual[at]
                  << ", expected " << expected[at] << " within " << tolerance.absolute << " + "
                  << tolerance.relative << " of it, because " << tolerance.reason;
}

NumericGradient numeric_gradient(const std::function<Doubles(const Doubles&)>& f, const Doubles& x,
                                 const Doubles& dy) {
  constexpr double kStep = 1e-5, kKink = 1e-3;
  const auto loss = [&](const Doubles& at) {
    const Doubles y = f(at);
    EXPECT_EQ(y.size(), dy.size());
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += dy[i] * y[i];
    return sum;
  };
  NumericGradient gradient;
  const double here = loss(x);
  Doubles moved = x;
  for (size_t i = 0; i < x.size(); ++i) {
    moved[i] = x[i] + kStep;
    const double above = loss(moved);
    moved[i] = x[i] - kStep;
    const double below = loss(moved);
    moved[i] = x[i];
    gradient.values.push_back((above - below) / (2 * kStep));
    gradient.kink.push_back(std::abs((above - here) - (here - below)) > kKink * kStep);
  }
  const auto kinks = std::count(gradient.kink.begin(), gradient.kink.end(), true);
  EXPECT_LE(kinks * 10, static_cast<std::ptrdiff_t>(x.size())) << "too many kinks to check a gradient";
  return gradient;
}

void expect_gradient(const std::vector<float>& actual, const std::function<Doubles(const Doubles&)>& f,
                     const std::vector<float>& x, const std::vector<float>& dy, const char* what,
                     const Tolerance& tolerance) {
  const NumericGradient expected = numeric_gradient(f, to_double(x), to_double(dy));
  expect_close(actual, expected.values, tolerance, what, expected.kink);
}

}  // namespace lockstep::test
