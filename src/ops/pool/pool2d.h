#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct Pool2dSpec {
  int64_t n = 0, h = 0, w = 0, c = 0;  ///< input
  int64_t window_h = 2, window_w = 2;
  int64_t stride_h = 2, stride_w = 2;
  int64_t pad_h = 0, pad_w = 0;  ///< on both sides; smaller than the window; padding is never a maximum

  int64_t out_h() const { return (h + 2 * pad_h - window_h) / stride_h + 1; }
  int64_t out_w() const { return (w + 2 * pad_w - window_w) / stride_w + 1; }
};

/// Maximum over windows. x (N, H, W, C); y and argmax (N, out_h, out_w, C); argmax (uint8) is the position of
/// the first maximum inside its window, row by row; windows hold at most 256 elements. A NaN in a window is
/// its maximum.
void max_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y, Tensor argmax);
/// dx (N, H, W, C) is overwritten: each dy goes to the element that was the maximum; windows may overlap.
void max_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx);

/// Mean over windows of any size; padding is not counted in the divisor (as in cuDNN's
/// COUNT_EXCLUDE_PADDING). Sums over large windows are accurate to the precision of float.
void average_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y);
void average_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor dy, Tensor dx);

/// Mean over all positions: x (N, ..., C) -> y (N, C). Enqueues; does not wait.
void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y);
void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx);

}  // namespace lockstep
