#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "src/tensor/real.h"

namespace lockstep::cpu {

/// The matrices (T, width) of a head as floats, which is what products take. Those of another type are copied
/// to the workspace, row behind row.
template <Real T>
class HeadMatrices {
 public:
  static constexpr bool kCopies = !std::is_same_v<T, float>;
  /// Floats of the workspace: at most q, k, v, y and their gradients, and the mask of a sample.
  static constexpr int64_t room(int64_t positions, int64_t width) {
    return kCopies ? positions * (8 * width + 1) : 0;
  }

  /// workspace: room() floats.
  HeadMatrices(int64_t positions, int64_t width, float* workspace)
      : positions_(positions), width_(width), next_(workspace) {}

  /// How far apart the rows are, if those of the tensor are so far apart.
  int64_t stride(int64_t of_tensor) const { return kCopies ? width_ : of_tensor; }
  const float* read(const T* from, int64_t stride) { return read(from, positions_, width_, stride); }
  const float* read_mask(const T* from) {
    return from == nullptr ? nullptr : read(from, 1, positions_, positions_);
  }
  /// Where to write what store() moves to a tensor.
  float* place(T* tensor) {
    if constexpr (kCopies)
      return take(positions_ * width_);
    else
      return tensor;
  }
  void store(const float* placed, T* to, int64_t stride) const {
    if constexpr (kCopies)
      for (int64_t row = 0; row < positions_; ++row, placed += width_, to += stride)
        for (int64_t i = 0; i < width_; ++i) to[i] = T(placed[i]);
  }

 private:
  const float* read(const T* from, int64_t rows, int64_t columns, int64_t stride) {
    if constexpr (kCopies) {
      float* const copy = take(rows * columns);
      for (int64_t row = 0; row < rows; ++row, from += stride)
        for (int64_t i = 0; i < columns; ++i) copy[row * columns + i] = from[i];
      return copy;
    } else {
      return from;
    }
  }
  float* take(int64_t floats) { return std::exchange(next_, next_ + floats); }

  int64_t positions_, width_;
  float* next_;
};

}  // namespace lockstep::cpu
