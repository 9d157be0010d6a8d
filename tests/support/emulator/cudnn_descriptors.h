#pragma once

// What is behind the descriptors of the emulated cuDNN.
#include <cudnn.h>

#include <climits>

#include "tests/support/emulator/library.h"

namespace emulator::cudnn {

struct Context {
  cudaStream_t stream = nullptr;
};

/// Distances in elements.
struct Strides {
  int64_t n, c, h, w;
};

/// A tensor, or filters: then n is their number, and c the channels of one group.
struct Tensor {
  bool is_set = false;
  cudnnTensorFormat_t format;
  cudnnDataType_t type;
  int64_t n, c, h, w;

  int64_t elements() const { return n * c * h * w; }
  size_t bytes() const { return static_cast<size_t>(elements()) * sizeof(float); }
  Strides strides() const {
    if (format == CUDNN_TENSOR_NHWC) return {h * w * c, 1, w * c, c};
    return {c * h * w, h * w, w, 1};
  }
};

struct Convolution {
  bool is_set = false;
  int64_t pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w;
  cudnnConvolutionMode_t mode;
  cudnnDataType_t compute;
  int64_t groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

extern Handles<cudnnHandle_t, Context> contexts;
extern Handles<cudnnTensorDescriptor_t, Tensor> tensors;
extern Handles<cudnnFilterDescriptor_t, Tensor> filters;
extern Handles<cudnnConvolutionDescriptor_t, Convolution> convolutions;

}  // namespace emulator::cudnn
