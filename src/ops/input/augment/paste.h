#pragma once

#include <array>
#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// A box of a sample, and the sample of the same micro-batch with which it is blended there.
struct Patch {
  int64_t partner = -1;           ///< row of the other sample; -1: zeros
  int64_t first[3] = {0, 0, 0};   ///< depth, height, width
  int64_t extent[3] = {0, 0, 0};  ///< 0: the sample stays as it is
};
inline constexpr int64_t kPatchWords = sizeof(Patch) / sizeof(int64_t);

struct PasteSpec {
  std::array<int64_t, 3> extents = {1, 1, 1};  ///< depth, height, width
  int64_t channels = 1;
};

/// Inside the box of each sample, y = own x + (1 - own) partner's x; outside, y = x. x and y (N, extents, C),
/// both float32 or both int32; they do not alias. patches (N, kPatchWords) int64 holds a Patch for each
/// sample, whose box lies inside the sample; own (N) float32 is in [0, 1]. Of int32, which cannot be blended,
/// y is the partner's where own is below 1/2. An `own` of 0 or 1 copies exactly. Enqueues; does not wait.
void paste(Exec exec, const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y);

namespace cuda {
void paste(Exec exec, const PasteSpec& spec, ConstTensor patches, ConstTensor own, ConstTensor x, Tensor y);
}  // namespace cuda

}  // namespace lockstep
