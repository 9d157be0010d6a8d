#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep::hdf5 {

/// A number of a file's structure, which is little-endian.
inline uint64_t number_at(const std::byte* at, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number |= std::to_integer<uint64_t>(at[i]) << (8 * i);
  return number;
}

}  // namespace lockstep::hdf5
