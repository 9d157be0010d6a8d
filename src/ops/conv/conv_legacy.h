#pragma once

// For .cu files.
#include <array>
#include <cstddef>
#include <optional>

#include "src/device/libraries/cudnn_plan.h"
#include "src/device/libraries/handle.h"
#include "src/ops/conv/conv.h"

namespace lockstep::cuda {

cudnnDataType_t cudnn_type(DType type);

/// Bytes of so many elements, up to a multiple of 256.
size_t aligned_bytes(int64_t elements, DType type);

/// A convolution through cuDNN's older calls, which name an algorithm for each direction; for directions for
/// which its engines offer nothing (CudnnPlans). They pad both sides of the data alike, so other padding is
/// copied around the data first.
class LegacyConv {
 public:
  using Direction = CudnnConvolution::Direction;

  /// Whether cuDNN's sizes, which are ints here, and its convolutions, hold the spec.
  static bool can_describe(const ConvSpec& spec);

  LegacyConv(Exec exec, const ConvSpec& spec);

  /// Chooses an algorithm that is deterministic and fits kCudnnWorkspaceLimit; whether there is one. The
  /// direction's function below may be called only then.
  bool plan(Direction direction);
  /// For the directions planned so far.
  size_t workspace_bytes() const { return padded_bytes_ + library_bytes_; }

  /// As in Conv::Cuda, but without bias and ReLU, with a gradient of the filters in the spec's type.
  void convolve(ConstTensor data, ConstTensor w, Tensor result, void* workspace) const;
  void data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, void* workspace) const;
  void filter_gradient(ConstTensor data, ConstTensor dresult, void* dw, void* workspace) const;

 private:
  using TensorDescriptor = Handle<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
  using FilterDescriptor = Handle<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
  using ConvolutionDescriptor = Handle<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

  void plan_forward();
  void plan_data_gradient();
  void plan_filter_gradient();
  /// The first algorithm listed that will do; cuDNN lists the fastest first, by its own estimate.
  /// size(algorithm, bytes) queries the workspace.
  template <typename Performance, size_t kCount, typename Size>
  auto choose(const std::array<Performance, kCount>& listed, int count, Size size)
      -> std::optional<decltype(Performance::algo)>;

  /// Data for cuDNN: a padded copy in the workspace if it is to be padded here.
  const void* padded(ConstTensor data, void* workspace) const;
  void* library_workspace(void* workspace) const;

  Exec exec_;
  ConvSpec spec_;
  size_t padded_bytes_ = 0;  ///< at the start of the workspace
  size_t library_bytes_ = 0;
  TensorDescriptor x_, y_;
  FilterDescriptor w_;
  ConvolutionDescriptor convolution_;
  std::optional<cudnnConvolutionFwdAlgo_t> forward_;
  std::optional<cudnnConvolutionBwdDataAlgo_t> backward_data_;
  std::optional<cudnnConvolutionBwdFilterAlgo_t> backward_filter_;
};

}  // namespace lockstep::cuda
