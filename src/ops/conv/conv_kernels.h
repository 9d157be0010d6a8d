#pragma once

#include "src/device/exec.h"
#include "src/ops/conv/conv.h"

namespace lockstep::cuda {

// Kernels of our own, which compute with float and are deterministic. x (N, extents..., channels), y (N,
// outputs..., filters), their gradients and w have the spec's type; dw is f32. Outputs are overwritten;
// spec.transposed, spec.bias and spec.relu are ignored.

/// Convolution by its definition, for shapes for which cuDNN offers no deterministic algorithm: slow, but
/// valid for all shapes.
void direct_conv_forward(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor w, Tensor y);
void direct_conv_data_gradient(Exec exec, const ConvSpec& spec, ConstTensor w, ConstTensor dy, Tensor dx);
void direct_conv_filter_gradient(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor dy, Tensor dw);

/// Whether each channel has filters of its own, small enough for the kernels below.
bool is_depthwise(const ConvSpec& spec);
void depthwise_conv_forward(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor w, Tensor y);
void depthwise_conv_data_gradient(Exec exec, const ConvSpec& spec, ConstTensor w, ConstTensor dy, Tensor dx);
void depthwise_conv_filter_gradient(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor dy,
                                    Tensor dw);

/// Copies x (N, extents..., channels) into the middle of padded (N, padded extents..., channels), with zeros
/// around it; and the middle of `padded` into x.
void conv_pad(Exec exec, const ConvSpec& spec, ConstTensor x, void* padded);
void conv_crop(Exec exec, const ConvSpec& spec, const void* padded, Tensor x);

}  // namespace lockstep::cuda
