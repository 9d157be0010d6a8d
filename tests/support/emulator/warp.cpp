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

std::string matrix_mistake(const MatrixAccess& access) {
  constexpr unsigned kAlignment = 32, kStride = 16;
  if (reinterpret_cast<uintptr_t>(access.address) % kAlignment != 0)
    return "an address that is not a multiple of " + std::to_string(kAlignment) + " bytes";
  if (access.stride * access.element_bytes % kStride != 0)
    return "a leading dimension of " + std::to_string(access.stride) + ", which is not a multiple of " +
           std::to_string(kStride / access.element_bytes);
  return "";
}

}  // namespace emulator
