#pragma once

#include <string>

namespace lockstep {

/// A property of the data or config that is valid but rarely intended, in one sentence.
struct Finding {
  std::string text;
  std::string key;  ///< the config key to change, which the text also names; "" if there is none
};

}  // namespace lockstep
