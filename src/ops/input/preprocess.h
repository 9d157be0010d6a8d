#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct PreprocessSpec {
  bool channels_first =
      false;  ///< x is stored (N, C, H, W) or (N, C, ...): it is transposed to channels-last
};

/// Raw samples as the data set stores them -> the network's float32 input: y = (x - pivot[c]) * scale[c] +
/// shift[c]. The difference is taken in the type of x, where it is exact near the pivot: data with a large
/// mean and a small spread loses no digits if the pivot is the mean rounded to float and shift holds the
/// remainder. x (N, ...) uint8, float16 (as IEEE bits), float32 or float64; y (N, ..., C) float32,
/// channels-last; pivot, scale, shift (C) float32. For uint8 with normalize = "unit", scale is 1/255, pivot
/// and shift are 0.
/// x and y have the same number of elements and do not alias. Enqueues; does not wait.
void preprocess(Exec exec, const PreprocessSpec& spec, ConstTensor x, ConstTensor pivot, ConstTensor scale,
                ConstTensor shift, Tensor y);

}  // namespace lockstep
