#include "tests/support/emulator/warp.h"

namespace emulator {

unsigned source_lane(unsigned lane, Exchange kind, int argument, int width) {
  const int within = static_cast<int>(lane) % width;
  const int begin = static_cast<int>(lane) - within;
  int source = within;
  switch (kind) {
    case Exchange::shuffle:
      source = ((argument % width) + width) % width;
      break;
    case Exchange::up:
      if (within - argument >= 0) source = within - argument;
      break;
    case Exchange::down:
      if (within + argument < width) source = within + argument;
      break;
    case Exchange::xor_:
      // A lane of an earlier part of the warp may be read, one of a later part may not.
      source = within ^ argument;
      if (begin + source >= begin + width) source = within;
      break;
    default:
      break;
  }
  return static_cast<unsigned>(begin + source);
}

}  // namespace emulator
