#pragma once

#include <string_view>

namespace lockstep {

/// Whether an update rule keeps the state of this name: null stands for none, and a state called "momentum"
/// is kept only where there is momentum.
inline bool keeps_state(const char* name, double momentum) {
  return name != nullptr && (std::string_view("momentum") != name || momentum > 0);
}

}  // namespace lockstep
