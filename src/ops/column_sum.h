#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep::cpu {

/// Rows that are added in float before their sum is added in double.
inline constexpr int64_t kSummedRows = 64;

/// Adds value(row, c) over the rows from begin to end, at most kSummedRows, into sums[c], c < channels.
template <typename Value>
void add_columns(int64_t begin, int64_t end, int64_t channels, double* sums, Value value) {
  constexpr int64_t kColumns = 64;
  for (int64_t first = 0; first < channels; first += kColumns) {
    const int64_t width = std::min(kColumns, channels - first);
    float partial[kColumns] = {};
    int64_t row = begin;
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

/// Calls use(begin, end) for blocks of at most kSummedRows rows.
template <typename Use>
void for_row_blocks(int64_t rows, Use use) {
  for (int64_t begin = 0; begin < rows; begin += kSummedRows) use(begin, std::min(rows, begin + kSummedRows));
}

/// Adds value(row, c) over all rows into sums[c], c < channels, in an order that depends only on the extents.
/// Rows are added in float within blocks, and blocks in double: nearly as exact as adding in double, at the
/// speed of float.
template <typename Value>
void column_sum(int64_t rows, int64_t channels, double* sums, Value value) {
  for_row_blocks(rows, [&](int64_t begin, int64_t end) { add_columns(begin, end, channels, sums, value); });
}

}  // namespace lockstep::cpu
