#pragma once

#include "src/device/exec.h"
#include "src/ops/conv/conv2d.h"

namespace lockstep::cuda {

// Convolution by its definition, for shapes for which cuDNN offers no deterministic algorithm: slow, but
// deterministic and valid for all shapes. Arguments as in Conv2d; outputs are overwritten; spec.bias and
// spec.relu are ignored.
void direct_conv2d_forward(Exec exec, const Conv2dSpec& spec, const float* x, const float* w, float* y);
void direct_conv2d_backward_data(Exec exec, const Conv2dSpec& spec, const float* w, const float* dy,
                                 float* dx);
void direct_conv2d_backward_filter(Exec exec, const Conv2dSpec& spec, const float* x, const float* dy,
                                   float* dw);

}  // namespace lockstep::cuda
