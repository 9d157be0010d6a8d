#pragma once

#include <array>
#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// The windows along one spatial axis. The default is an axis of one element.
struct PoolAxis {
  int64_t inputs = 1, outputs = 1;
  int64_t window = 1, stride = 1;  ///< if adaptive, `window` is the size of the largest window
  /// Padding, smaller than the window. It is never a maximum and adds nothing to a mean.
  int64_t before = 0, after = 0;
  /// Window i is [floor(i * inputs / outputs), ceil((i + 1) * inputs / outputs)), as in PyTorch.
  bool adaptive = false;

  /// As many windows as fit into the padded axis; with `ceil` one more that begins inside the input or the
  /// padding before it, and ends beyond the padding (PyTorch's ceil_mode). No outputs if none fits.
  static PoolAxis sliding(int64_t inputs, int64_t window, int64_t stride, int64_t before, int64_t after,
                          bool ceil = false);
  /// `outputs` windows that cover the axis evenly. Both are at least 1.
  static PoolAxis evenly(int64_t inputs, int64_t outputs);
};

/// Pooling over up to three spatial axes. With fewer, those in front have one element.
struct PoolSpec {
  int64_t n = 0, c = 0;
  std::array<PoolAxis, 3> axes = {};
  /// Of a mean: count padding in the divisor (PyTorch's count_include_pad); what `ceil` adds beyond the
  /// padding never counts.
  bool count_padding = false;
  /// Of a maximum, of windows of fewer than kMaxPoolWindow elements: a ReLU is applied to it.
  bool relu = false;

  Shape input_shape() const { return {n, axes[0].inputs, axes[1].inputs, axes[2].inputs, c}; }
  Shape output_shape() const { return {n, axes[0].outputs, axes[1].outputs, axes[2].outputs, c}; }
  /// Elements of the largest window.
  int64_t window_size() const { return axes[0].window * axes[1].window * axes[2].window; }
};

/// The position of a maximum in its window is stored in a byte.
inline constexpr int64_t kMaxPoolWindow = 256;
/// Instead of a position: a ReLU has cut the maximum off, so that no element gets the gradient.
inline constexpr uint8_t kCutOff = 255;

/// Maximum over windows of at most kMaxPoolWindow elements. x (input_shape()); y and argmax (output_shape());
/// argmax (uint8) is the position of the first maximum inside its window, row by row, or kCutOff. A NaN in a
/// window is its maximum, and stays NaN. Enqueues; does not wait. Here and below, x, y, dx and dy have one
/// real type.
void max_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y, Tensor argmax);
/// dx is overwritten: each dy goes to the element that was the maximum; windows may overlap. The order of
/// sums depends only on the shape.
void max_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx);

/// Mean over windows of any size. Sums over large windows are accurate to the precision of float.
void average_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y);
void average_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor dy, Tensor dx);

/// Mean over all positions: x (N, ..., C) -> y (N, C). Enqueues; does not wait.
void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y);
void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx);

}  // namespace lockstep
