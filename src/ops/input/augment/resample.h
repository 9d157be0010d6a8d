#pragma once

#include <array>
#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Positions along an axis are fixed-point numbers, so that every backend reads the same elements.
inline constexpr int kPositionBits = 20;
inline constexpr int64_t kPositionOne = int64_t{1} << kPositionBits;

/// Where one sample's output reads its input: position p along axis a of the output reads the position
/// start[a] + step[a] p of axis axis[a] of the input. The axes are depth, height and width; `axis` is a
/// permutation of them. The default leaves a sample as it is.
struct Placement {
  int64_t axis[3] = {0, 1, 2};
  int64_t start[3] = {0, 0, 0};
  int64_t step[3] = {kPositionOne, kPositionOne, kPositionOne};
};
inline constexpr int64_t kPlacementWords = sizeof(Placement) / sizeof(int64_t);

struct ResampleSpec {
  std::array<int64_t, 3> in = {1, 1, 1}, out = {1, 1, 1};  ///< depth, height, width
  int64_t channels = 1;
  bool nearest = false;  ///< the nearest element, of two the later one; otherwise linear interpolation
};

/// Moves, mirrors, turns and scales samples. x (N, in[0], in[1], in[2], C) and y (N, out[0], out[1], out[2],
/// C), both float32, or both int32 with `nearest`; they do not alias. placements (N, kPlacementWords) int64
/// holds a Placement for each sample. Positions beyond the border (more than half an element from the
/// outermost elements) are set to fill (C), of the type of x; values at whole positions are copied exactly.
/// Enqueues; does not wait.
void resample(Exec exec, const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x,
              Tensor y);

namespace cuda {
void resample(Exec exec, const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x,
              Tensor y);
}  // namespace cuda

}  // namespace lockstep
