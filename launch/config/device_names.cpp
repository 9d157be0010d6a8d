#include "launch/config/device_names.h"

#include <algorithm>

#include "src/core/error.h"

namespace lockstep {

const std::vector<std::string>& device_names() {
  static const std::vector<std::string> names{"auto", "cpu", "cuda"};
  return names;
}

DeviceChoice device_named(const std::string& name) {
  const auto found = std::ranges::find(device_names(), name);
  INVARIANT(found != device_names().end(), "no device is named {}", name);
  return static_cast<DeviceChoice>(found - device_names().begin());
}

const std::vector<std::string>& precision_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Precision precision : kPrecisions) all.emplace_back(to_string(precision));
    return all;
  }();
  return names;
}

}  // namespace lockstep
