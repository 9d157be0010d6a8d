#pragma once

#include <string>

namespace lockstep {

/// Something about data or config that is allowed and seldom meant, in one sentence.
struct Finding {
  std::string text;
  std::string key;  ///< the config key that helps, which the text names, too; "" if none does
};

}  // namespace lockstep
