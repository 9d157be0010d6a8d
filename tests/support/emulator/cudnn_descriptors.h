#pragma once

// What is behind the descriptors of the emulated cuDNN.
#include <cudnn.h>

#include <array>
#include <climits>
#include <cstdint>

#include "tests/support/emulator/element.h"
#include "tests/support/emulator/library.h"

namespace emulator::cudnn {

struct Context {
  cudaStream_t stream = nullptr;
};

constexpr int kMaxAxes = 3;
/// A number for each spatial axis, outermost first; of fewer axes, those in front are 1 (padding: 0) here.
using Numbers = std::array<int64_t, kMaxAxes>;

/// Distances in elements.
struct Strides {
  int64_t n, c;
  Numbers axis;
};

/// A tensor, or filters: then n is their number, and c the channels of one group.
struct Tensor {
  bool is_set = false;
  cudnnTensorFormat_t format;
  cudnnDataType_t type;
  int axes;  ///< spatial
  int64_t n, c;
  Numbers extents;

  int64_t positions() const { return extents[0] * extents[1] * extents[2]; }
  int64_t elements() const { return n * c * positions(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(element_type()); }
  /// Only of the types that the emulator computes with.
  cudaDataType_t element_type() const {
    return type == CUDNN_DATA_BFLOAT16 ? CUDA_R_16BF : type == CUDNN_DATA_HALF ? CUDA_R_16F : CUDA_R_32F;
  }
  Strides strides() const {
    const bool channels_last = format == CUDNN_TENSOR_NHWC;
    const int64_t step = channels_last ? c : 1;
    return {c * positions(),
            channels_last ? 1 : positions(),
            {extents[1] * extents[2] * step, extents[2] * step, step}};
  }
};

struct Convolution {
  bool is_set = false;
  int axes;  ///< spatial
  Numbers padding, stride, dilation;
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
