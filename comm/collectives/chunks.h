#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace lockstep {

/// MPI counts elements in an int.
inline constexpr int64_t kMostMpiElements = std::numeric_limits<int>::max();

/// How many messages of at most `most` elements carry n elements: none for n = 0.
inline int64_t chunk_count(int64_t n, int64_t most) { return (n + most - 1) / most; }

/// The size of chunk i of n elements; 0 past the end.
inline int chunk_size(int64_t n, int64_t most, int64_t i) {
  return static_cast<int>(std::clamp<int64_t>(n - i * most, 0, most));
}

}  // namespace lockstep
