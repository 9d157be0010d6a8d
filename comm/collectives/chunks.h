#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace lockstep {

/// MPI counts elements in an int.
inline constexpr int64_t kMaxMpiElements = std::numeric_limits<int>::max();

/// The number of messages of at most `max` elements needed for n elements; 0 for n = 0.
inline int64_t chunk_count(int64_t n, int64_t max) { return (n + max - 1) / max; }

/// The size of chunk i of n elements; 0 past the end.
inline int chunk_size(int64_t n, int64_t max, int64_t i) {
  return static_cast<int>(std::clamp<int64_t>(n - i * max, 0, max));
}

}  // namespace lockstep
