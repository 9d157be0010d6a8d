#pragma once

#include "src/device/exec.h"
#include "src/ops/conv/conv.h"

namespace lockstep::cuda {

// Kernels of our own, which compute with float and are deterministic. x (N, extents..., channels), y (N,
// outputs..., filters) and w are dense; outputs are overwritten; spec.transposed, spec.bias and spec.relu are
// ignored.

/// Convolution by its definition, for shapes for which cuDNN offers no deterministic algorithm: slow, but
/// valid for all shapes.
void direct_conv_forward(Exec exec, const ConvSpec& spec, const float* x, const float* w, float* y);
void direct_conv_data_gradient(Exec exec, const ConvSpec& spec, const float* w, const float* dy, float* dx);
void direct_conv_filter_gradient(Exec exec, const ConvSpec& spec, const float* x, const float* dy, float* dw);

/// Whether each channel has filters of its own, small enough for the kernels below.
bool is_depthwise(const ConvSpec& spec);
void depthwise_conv_forward(Exec exec, const ConvSpec& spec, const float* x, const float* w, float* y);
void depthwise_conv_data_gradient(Exec exec, const ConvSpec& spec, const float* w, const float* dy,
                                  float* dx);
void depthwise_conv_filter_gradient(Exec exec, const ConvSpec& spec, const float* x, const float* dy,
                                    float* dw);

/// Copies x (N, extents..., channels) into the middle of padded (N, padded extents..., channels), with zeros
/// around it; and the middle of `padded` into x.
void conv_pad(Exec exec, const ConvSpec& spec, const float* x, float* padded);
void conv_crop(Exec exec, const ConvSpec& spec, const float* padded, float* x);

}  // namespace lockstep::cuda
