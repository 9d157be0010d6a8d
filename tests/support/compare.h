#pragma once

#include <functional>
#include <vector>

#include "tests/support/tolerance.h"

namespace lockstep::test {

using Doubles = std::vector<double>;

Doubles to_double(const std::vector<float>& values);

/// Euclidean.
double norm(const Doubles& values);
double distance(const Doubles& a, const Doubles& b);

/// Fails the test, naming the worst element, unless every element is within the tolerance. NaN equals NaN
/// alone. Elements for which skip[i] is true are not compared.
void expect_close(const std::vector<float>& actual, const Doubles& expected, const Tolerance& tolerance,
                  const char* what, const std::vector<bool>& skip = {});

/// The gradient of sum(dy * f(x)) at x.
struct NumericGradient {
  Doubles values;
  std::vector<bool> kink;  ///< f has no derivative here: its slopes to the left and to the right differ
};

/// By central differences of a function of doubles. Fails the test when more than a tenth are kinks.
NumericGradient numeric_gradient(const std::function<Doubles(const Doubles&)>& f, const Doubles& x,
                                 const Doubles& dy);

/// Compares a gradient with differences of the oracle, leaving out its kinks.
void expect_gradient(const std::vector<float>& actual, const std::function<Doubles(const Doubles&)>& f,
                     const std::vector<float>& x, const std::vector<float>& dy, const char* what,
                     const Tolerance& tolerance = kGradient);

}  // namespace lockstep::test
