#include "tests/support/harness/op_compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/harness/values.h"

namespace lockstep::test {

namespace {

/// "(0, 3, 1)", the place of an element.
std::string place(const Shape& shape, int64_t element) {
  std::vector<int64_t> at;
  for (int axis = shape.rank(); axis-- > 0; element /= shape[axis]) at.push_back(element % shape[axis]);
  return fmt::format("({})", fmt::join(at.rbegin(), at.rend(), ", "));
}

}  // namespace

void compare(const std::string& where, const Operand& operand, const Doubles& actual, const Doubles& expected,
             double times, const std::vector<bool>& skip, const char* of_what, size_t exact_from) {
  ASSERT_EQ(actual.size(), expected.size()) << where << ": " << operand.name;
  const Tolerance& tolerance = operand.tolerance;
  const auto bound = [&](size_t i) {
    return i >= exact_from ? 0 : times * (tolerance.absolute + tolerance.relative * std::abs(expected[i]));
  };
  double worst = 0;
  size_t at = 0, wrong = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (i < skip.size() && skip[i]) continue;
    double excess = 0;
    if (std::isnan(expected[i]) || std::isnan(actual[i]))
      excess = std::isnan(expected[i]) && std::isnan(actual[i]) ? 0 : HUGE_VAL;
    else if (actual[i] != expected[i])
      excess = std::abs(actual[i] - expected[i]) - bound(i);
    if (excess > 0) ++wrong;
    if (excess > worst) worst = excess, at = i;
  }
  if (wrong > 0)
    ADD_FAILURE() << fmt::format(
        "{}: {} at {} is {:.9g}, but {} is {:.9g}, and {:.3g} is allowed, because {} ({} of {} elements are "
        "wrong)",
        where, operand.name, place(operand.shape, static_cast<int64_t>(at)), actual[at], of_what,
        expected[at], bound(at), tolerance.reason, wrong, actual.size());
}

void compare_all(const Instance& it, const Bytes& results, const Expected& expected, const OpCase& real,
                 bool has_rows) {
  static const std::vector<bool> kNone;
  for (const Operand& operand : it.op.operands) {
    if (!operand.is_written()) continue;
    const Doubles actual = decode(operand.dtype, results.at(operand.name));
    if (expected.values.contains(operand.name)) {
      const auto kinks = expected.kinks.find(operand.name);
      const auto elements = static_cast<size_t>(real.operand(operand.name).shape.elements());
      compare(it.where, operand, actual, expected.values[operand.name], 1,
              kinks == expected.kinks.end() ? kNone : kinks->second, "the oracle's",
              !has_rows                  ? 0
              : elements < actual.size() ? elements
                                         : kNever);
    } else {
      EXPECT_TRUE(std::all_of(actual.begin(), actual.end(), [](double v) { return std::isfinite(v); }))
          << it.where << ": " << operand.name << " is not finite";
    }
  }
}

void expect_same_bits(const Instance& it, const Bytes& actual, const Bytes& expected,
                      const std::string& when) {
  for (const auto& [name, bytes] : expected) {
    const auto found = actual.find(name);
    if (found == actual.end() || found->second == bytes) continue;
    Operand exact = it.op.operand(name);
    exact.tolerance = kExact;
    exact.tolerance.reason = "it may not depend on that";
    compare(it.where + ", " + when, exact, decode(exact.dtype, found->second), decode(exact.dtype, bytes), 1,
            {}, "otherwise it");
  }
}

}  // namespace lockstep::test
