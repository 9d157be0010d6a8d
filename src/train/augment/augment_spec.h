#pragma once

#include <map>
#include <string>

namespace lockstep {

/// One entry of data.augment.
struct AugmentSpec {
  std::string name;
  std::map<std::string, double> options;  ///< those that were given

  friend bool operator==(const AugmentSpec&, const AugmentSpec&) = default;
};

}  // namespace lockstep
