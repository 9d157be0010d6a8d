#include "io/dataset/layouts/move_axis.h"

#include <algorithm>
#include <cstring>

namespace lockstep {

namespace {

/// Transposes (outer, rows) pieces of `bytes`. kBytes: the same if it is known when compiling, so that a copy
/// is one instruction; else 0.
template <size_t kBytes>
void transpose(const std::byte* from, int64_t outer, int64_t rows, size_t bytes, std::byte* to) {
  constexpr int64_t kTile = 32;  // square tiles whose lines stay in the cache of the first level
  const size_t size = kBytes > 0 ? kBytes : bytes;
  for (int64_t row0 = 0; row0 < rows; row0 += kTile) {
    for (int64_t outer0 = 0; outer0 < outer; outer0 += kTile) {
      const int64_t row_end = std::min(rows, row0 + kTile), outer_end = std::min(outer, outer0 + kTile);
      for (int64_t row = row0; row < row_end; ++row)
        for (int64_t at = outer0; at < outer_end; ++at)
          std::memcpy(to + static_cast<size_t>(row * outer + at) * size,
                      from + static_cast<size_t>(at * rows + row) * size, size);
    }
  }
}

}  // namespace

void move_axis_first(const std::byte* from, int64_t outer, int64_t rows, int64_t inner, size_t bytes,
                     std::byte* to) {
  const size_t piece = static_cast<size_t>(inner) * bytes;
  switch (piece) {
    case 1:
      return transpose<1>(from, outer, rows, piece, to);
    case 2:
      return transpose<2>(from, outer, rows, piece, to);
    case 4:
      return transpose<4>(from, outer, rows, piece, to);
    case 8:
      return transpose<8>(from, outer, rows, piece, to);
    default:
      return transpose<0>(from, outer, rows, piece, to);
  }
}

}  // namespace lockstep
