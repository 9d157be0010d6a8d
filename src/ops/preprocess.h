#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct PreprocessSpec {
  bool channels_first =
      false;  ///< x is stored (N, C, H, W) or (N, C, ...): it is transposed to channels-last
};

/// Raw samples as the data set stores them -> the network's float32 input: y = x * scale[c] + shift[c].
/// x (N, ...) uint8, float16 (as IEEE bits), float32 or float64; y (N, ..., C) float32, channels-last;
/// scale, shift (C) float32. For uint8 with normalize = "unit", scale is 1/255 and shift 0.
/// x and y have as many elements and do not alias. Enqueues; does not wait.
void preprocess(Exec exec, const PreprocessSpec& spec, ConstTensor x, ConstTensor scale, ConstTensor shift,
                Tensor y);

}  // namespace lockstep
