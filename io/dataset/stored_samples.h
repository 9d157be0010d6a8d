#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// How consecutive samples lie on storage, for an order that reads each block of them once (choose_order()).
struct StoredSamples {
  std::vector<int64_t> parts = {};  ///< numbers of consecutive samples, such as those of a file
  /// Consecutive samples that are read and decoded as a whole, from the start of a part on.
  int64_t block = 1;
  /// Whether each block holds no other samples than these.
  bool aligned = true;
  double sample_bytes = 0;  ///< decoded
  /// Bytes to decode per sample in random order; see StoredRows::decoded_bytes_per_row().
  double decoded_bytes = 0;
};

}  // namespace lockstep
