#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/harness/op_case.h"
#include "tests/support/harness/op_expected.h"
#include "tests/support/harness/op_run.h"

// What the checks of an operation compare.
namespace lockstep::test {

/// A case with a number of rows, on a backend.
struct Instance {
  OpCase op;
  std::string where;
  Bytes inputs;
};

/// After every element.
inline constexpr size_t kNever = std::numeric_limits<size_t>::max();

/// Fails the test, naming the worst element, unless all are within `times` the tolerance, and equal from the
/// element `exact_from` on.
void compare(const std::string& where, const Operand& operand, const Doubles& actual, const Doubles& expected,
             double times, const std::vector<bool>& skip, const char* of_what, size_t exact_from = kNever);

/// real: the case of the rows that are real. What no real row has a part in is zero to the bit.
void compare_all(const Instance& it, const Bytes& results, const Expected& expected, const OpCase& real,
                 bool has_rows);

/// Fails the test where something differs from what was computed in another way. All NaNs are the same.
void expect_same_bits(const Instance& it, const Bytes& actual, const Bytes& expected,
                      const std::string& when);

}  // namespace lockstep::test
