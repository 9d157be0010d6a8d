#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep::cpu {

/// Adds value(row, c) over all rows into sums[c], c < channels, in an order that depends only on the extents.
/// Rows are added in float within blocks, and blocks in double: nearly as exact as adding in double, at the
/// speed of float.
template <typename Value>
void column_sum(int64_t rows, int64_t channels, double* sums, Value value) {
  constexpr int64_t kColumns = 64, kBlock = 64;
  for (int64_t first = 0; first < channels; first += kColumns) {
    const int64_t width = std::min(kColumns, channels - first);
    for (int64_t block = 0; block < rows; block += kBlock) {
      const int64_t end = std::min(rows, block + kBlock);
      float partial[kColumns] = {};
      int64_t row = block;
      for (; row + 4 <= end; row += 4)
        for (int64_t i = 0; i < width; ++i) {
          const int64_t c = first + i;
          partial[i] += (value(row, c) + value(row + 1, c)) + (value(row + 2, c) + value(row + 3, c));
        }
      for (; row < end; ++row)
        for (int64_t i = 0; i < width; ++i) partial[i] += value(row, first + i);
      for (int64_t i = 0; i < width; ++i) sums[first + i] += partial[i];
    }
  }
}

}  // namespace lockstep::cpu
