#pragma once

#include <cstdlib>
#include <string>

namespace lockstep {

/// The lockstep program that is tested: of this build or, on a machine to which both were carried, where
/// $LOCKSTEP_BINARY says.
inline std::string lockstep_binary() {
  const char* moved = std::getenv("LOCKSTEP_BINARY");
  return moved == nullptr ? LOCKSTEP_BINARY : moved;
}

}  // namespace lockstep
