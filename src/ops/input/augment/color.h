#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// How much one sample's colours change; 1 leaves them as they are.
struct ColorFactors {
  float brightness = 1, contrast = 1, saturation = 1;
};
inline constexpr int64_t kColorFactors = sizeof(ColorFactors) / sizeof(float);

/// In place: brightness, contrast and saturation, in this order. x (N, P, C) float32 are stored values v
/// after normalization, x = v scale[c] + zero[c]; scale (C) is positive. factors (N, kColorFactors) float32.
///   brightness  v = b v
///   contrast    v = m + c (v - m), where m is the mean grey of the sample
///   saturation  v = g + s (v - g), where g is the grey of the position
/// Grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601) of three channels, otherwise their mean. After
/// each of them v is clamped to [0, max]; a max of 0 does not clamp. Sums run in an order that depends on the
/// shape alone. Enqueues; does not wait.
void adjust_color(Exec exec, float max, ConstTensor factors, ConstTensor scale, ConstTensor zero, Tensor x);

namespace cuda {
void adjust_color(Exec exec, float max, ConstTensor factors, ConstTensor scale, ConstTensor zero, Tensor x);
}  // namespace cuda

}  // namespace lockstep
