#include "tests/support/harness/op_expected.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/core/error.h"

namespace lockstep::test {

namespace {

constexpr double kStep = 1e-5;
constexpr double kKink = 1e-3;  ///< a slope to the right that differs from that to the left by more

/// The weighted sums of the outputs, of each part by itself.
Doubles weighted_sums(const OpCase& op, const Values& inputs, const Parts& parts) {
  Doubles sums(static_cast<size_t>(parts.count()));
  for (const auto& [name, y] : (op.smooth ? op.smooth : op.oracle)(inputs)) {
    const Doubles& weights = op.weights.contains(name) ? op.weights[name] : inputs["d" + name];
    if (weights.empty()) continue;
    INVARIANT(weights.size() == y.size() && y.size() % sums.size() == 0,
              "{}: {} values, {} weights, {} parts", name, y.size(), weights.size(), sums.size());
    for (size_t i = 0; i < y.size(); ++i) sums[parts.part_of(i, y.size())] += weights[i] * y[i];
  }
  return sums;
}

void differentiate(const OpCase& op, const Operand& gradient, Values inputs, Expected& expected) {
  Doubles& x = inputs[gradient.of];
  const Doubles original = x;
  const auto parts = static_cast<size_t>(gradient.parts.count());
  Doubles& slopes = expected.values[gradient.name];
  std::vector<bool>& kinks = expected.kinks[gradient.name];
  slopes.resize(x.size());
  kinks.resize(x.size());
  if (x.empty()) return;
  INVARIANT(x.size() % parts == 0, "{}: {} values in {} parts", gradient.of, x.size(), parts);
  const size_t each = x.size() / parts;
  const auto place = [&](size_t part, size_t element) {
    return gradient.parts.place(part, element, x.size());
  };
  const Doubles here = weighted_sums(op, inputs, gradient.output_parts);
  const auto moved = [&](size_t element, double step) {
    for (size_t part = 0; part < parts; ++part) x[place(part, element)] += step;
    Doubles sums = weighted_sums(op, inputs, gradient.output_parts);
    for (size_t part = 0; part < parts; ++part) {
      const size_t i = place(part, element);
      x[i] = original[i];
    }
    return sums;
  };
  for (size_t element = 0; element < each; ++element) {
    const Doubles above = moved(element, kStep), below = moved(element, -kStep);
    for (size_t part = 0; part < parts; ++part) {
      const size_t i = place(part, element);
      slopes[i] = (above[part] - below[part]) / (2 * kStep);
      kinks[i] = std::abs((above[part] - here[part]) - (here[part] - below[part])) > kKink * kStep;
    }
  }
}

}  // namespace

Expected expected_of(const OpCase& op, const Values& inputs, const std::string& where) {
  Expected expected{op.oracle(inputs), {}};
  for (const Operand& operand : op.operands) {
    if (operand.role != Operand::Role::gradient) continue;
    differentiate(op, operand, inputs, expected);
    const std::vector<bool>& kinks = expected.kinks[operand.name];
    const auto count = static_cast<double>(std::count(kinks.begin(), kinks.end(), true));
    EXPECT_LE(count, std::ceil(op.kinks * static_cast<double>(kinks.size())))
        << where << ": " << operand.name << " has kinks; say how many the case may have";
  }
  return expected;
}

}  // namespace lockstep::test
