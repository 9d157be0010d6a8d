#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {

/// What a case must write. An output that is not there has no defined values, but is finite.
struct Expected {
  Values values;
  std::map<std::string, std::vector<bool>> kinks;  ///< gradients: elements at which there is none
};

/// By the case's oracle, and for gradients by central differences of it, which are exact to about 1e-9. Fails
/// the test when a gradient has more kinks than the case says.
Expected expected_of(const OpCase& op, const Values& inputs, const std::string& where);

}  // namespace lockstep::test
