#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// A group is what is normalized together: of one sample, all positions of C / groups adjacent channels.
struct GroupNormSpec {
  int64_t groups = 1;  ///< divides C
  float epsilon = 1e-5f;
  bool centered = true;  ///< false: the mean counts as 0, as in RMS norm
};

/// y = (x - mean) / sqrt(variance + epsilon) * scale[c] + shift[c], with mean and biased variance of each
/// group: group norm (Wu and He 2018, section 3); with one group and one position, layer norm (Ba et al.
/// 2016, equation 3); without the mean, RMS norm (Zhang and Sennrich 2019, equation 4).
///   x, y                           (N, P, C), of one real type; y may alias x
///   scale, shift                   (C) float; shift may be empty
///   saved_mean, saved_inverse_std  (N, groups) float, out, for backward
/// Enqueues; does not wait.
void group_norm_forward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                        ConstTensor shift, Tensor y, Tensor saved_mean, Tensor saved_inverse_std);

/// dy and dx have the type of x, dscale and dshift are float. dx may alias dy unless adds_to_dx: then it is
/// added to what dx holds. dshift is empty where shift is. The order of all sums depends only on the shape.
void group_norm_backward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift, bool adds_to_dx = false);

}  // namespace lockstep
