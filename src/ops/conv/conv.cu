#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/core/log.h"
#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#include "src/device/launch.h"
#include "src/ops/conv/conv_cuda.h"
#include "src/ops/conv/conv_kernels.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/narrow.h"

namespace lockstep {

namespace {

using TensorDescriptor = Handle<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using FilterDescriptor = Handle<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor = Handle<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

/// Algorithms that need more than this are skipped.
constexpr size_t kWorkspaceLimit = size_t{512} << 20;
constexpr size_t kAlignment = 256;

size_t aligned_bytes(int64_t elements, DType type) {
  return (static_cast<size_t>(elements) * size_of(type) + kAlignment - 1) / kAlignment * kAlignment;
}

cudnnDataType_t cudnn_type(DType type) {
  return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : type == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

/// Two bytes are multiplied on tensor cores. With float these mean TF32, which the default permits.
cudnnMathType_t math_type(const ConvSpec& spec) {
  if (spec.type != DType::f32) return CUDNN_TENSOR_OP_MATH;
  return spec.tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
}

const float kOne = 1.0f, kZero = 0.0f;

/// Whether as much padding behind as in front gives the same outputs, as cuDNN pads. The windows may not
/// reach the end of the padding.
bool is_symmetric(ConvAxis axis) {
  const int64_t outputs = axis.outputs();
  axis.pad_after = axis.pad_before;
  return axis.span() <= axis.padded() && axis.outputs() == outputs;
}

bool has_symmetric_padding(const ConvSpec& spec) {
  return std::all_of(spec.axes.begin(), spec.axes.end(), is_symmetric);
}

/// The convolution that cuDNN computes: with padding that is the same on both sides, or of data that has been
/// padded.
ConvSpec as_for_cudnn(ConvSpec spec) {
  const bool symmetric = has_symmetric_padding(spec);
  for (int i = 0; i < spec.axes.count(); ++i) {
    ConvAxis& axis = spec.axes[i];
    if (!symmetric) {
      axis.extent = axis.padded();
      axis.pad_before = 0;
    }
    axis.pad_after = axis.pad_before;
  }
  return spec;
}

/// cuDNN's extents, in ints: of the batch (or the filters), the channels, then along the axes.
std::vector<int> cudnn_extents(const Shape& channels_last) {
  std::vector<int> extents;
  for (const int64_t extent : channels_last.extents()) extents.push_back(static_cast<int>(extent));
  std::rotate(extents.begin() + 1, extents.end() - 1, extents.end());
  return extents;
}

void create_tensor(TensorDescriptor& descriptor, DType type, const Shape& shape) {
  const std::vector<int> extents = cudnn_extents(shape);
  CHECK(cudnnCreateTensorDescriptor(descriptor.out()));
  // NHWC stands for channels-last with any number of axes.
  CHECK(cudnnSetTensorNdDescriptorEx(descriptor.get(), CUDNN_TENSOR_NHWC, cudnn_type(type),
                                     static_cast<int>(extents.size()), extents.data()));
}

/// cuDNN's sizes are ints.
bool fits_cudnn(const Shape& shape) {
  double elements = 1;
  for (const int64_t extent : shape.extents()) elements *= static_cast<double>(extent);
  return elements <= INT_MAX;
}
bool fits_cudnn(const ConvSpec& spec) {
  return fits_cudnn(spec.data()) && fits_cudnn(spec.result()) && fits_cudnn(spec.weights());
}

/// Whether cuDNN supports the request. Throws for any other error than "not supported", which the fallback to
/// our own slow kernels would hide.
bool supported(cudnnStatus_t status) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) return false;
  CHECK(status);
  return true;
}

/// The number of algorithms listed; 0 if cuDNN does not support the convolution at all.
int listed_count(cudnnStatus_t status, int count) { return supported(status) ? count : 0; }

}  // namespace

/// Which implementation computes each direction.
struct Conv::Cuda::Impl {
  Impl(Exec on, const ConvSpec& shape);
  void plan();

  /// The first algorithm that is deterministic and fits the workspace limit; cuDNN lists the fastest first,
  /// by its own estimate. size(algorithm, bytes) queries the workspace.
  template <typename Performance, size_t kCount, typename Size>
  auto choose(const std::array<Performance, kCount>& listed, int count, const char* direction, Size size)
      -> std::optional<decltype(Performance::algo)>;

  /// Data for cuDNN: a padded copy in the workspace if it is to be padded here.
  const void* padded(ConstTensor data, Tensor workspace) const;
  void* narrow_gradient(Tensor workspace) const {
    return static_cast<std::byte*>(workspace.raw()) + padded_bytes;
  }
  void* library_workspace(Tensor workspace) const {
    return static_cast<std::byte*>(workspace.raw()) + padded_bytes + narrow_bytes;
  }

  Exec exec;
  ConvSpec spec;
  bool depthwise;           ///< our own kernels, in all directions
  size_t padded_bytes = 0;  ///< at the start of the workspace
  /// Behind them, for a gradient of the filters of two bytes. cuDNN's convolution API gives it in the type of
  /// the data only, though summed in float; it is widened afterwards.
  size_t narrow_bytes = 0;
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvolutionDescriptor convolution;
  /// cuDNN's algorithms; none: our own direct kernels.
  std::optional<cudnnConvolutionFwdAlgo_t> forward;
  std::optional<cudnnConvolutionBwdDataAlgo_t> backward_data;
  std::optional<cudnnConvolutionBwdFilterAlgo_t> backward_filter;
  size_t library_bytes = 0;
};

Conv::Cuda::Impl::Impl(Exec on, const ConvSpec& shape)
    : exec(on), spec(shape), depthwise(cuda::is_depthwise(shape)) {
  const ConvSpec cudnn_spec = as_for_cudnn(spec);
  if (spec.samples == 0 || depthwise || !fits_cudnn(cudnn_spec)) return;
  create_tensor(x, spec.type, cudnn_spec.data());
  create_tensor(y, spec.type, cudnn_spec.result());
  const std::vector<int> filter_extents = cudnn_extents(cudnn_spec.weights());
  CHECK(cudnnCreateFilterDescriptor(w.out()));
  CHECK(cudnnSetFilterNdDescriptor(w.get(), cudnn_type(spec.type), CUDNN_TENSOR_NHWC,
                                   static_cast<int>(filter_extents.size()), filter_extents.data()));
  std::vector<int> padding, stride, dilation;
  for (const ConvAxis& axis : cudnn_spec.axes) {
    padding.push_back(static_cast<int>(axis.pad_before));
    stride.push_back(static_cast<int>(axis.stride));
    dilation.push_back(static_cast<int>(axis.dilation));
  }
  CHECK(cudnnCreateConvolutionDescriptor(convolution.out()));
  CHECK(cudnnSetConvolutionNdDescriptor(convolution.get(), cudnn_spec.axes.count(), padding.data(),
                                        stride.data(), dilation.data(), CUDNN_CROSS_CORRELATION,
                                        CUDNN_DATA_FLOAT));
  CHECK(cudnnSetConvolutionGroupCount(convolution.get(), static_cast<int>(spec.groups)));
  CHECK(cudnnSetConvolutionMathType(convolution.get(), math_type(spec)));
  plan();
  const bool is_used = forward || backward_data || backward_filter;
  if (is_used && !has_symmetric_padding(spec))
    padded_bytes = aligned_bytes(cudnn_spec.data().elements(), spec.type);
  if (backward_filter && spec.type != DType::f32)
    narrow_bytes = aligned_bytes(spec.weights().elements(), spec.type);
}

template <typename Performance, size_t kCount, typename Size>
auto Conv::Cuda::Impl::choose(const std::array<Performance, kCount>& listed, int count, const char* direction,
                              Size size) -> std::optional<decltype(Performance::algo)> {
  for (int i = 0; i < count; ++i) {
    const Performance& candidate = listed[static_cast<size_t>(i)];
    if (!supported(candidate.status) || candidate.determinism != CUDNN_DETERMINISTIC) continue;
    // The listing may be for another math type, so the size is queried with ours, which also shows whether it
    // is supported.
    size_t bytes = 0;
    if (!supported(size(candidate.algo, &bytes)) || bytes > kWorkspaceLimit) continue;
    library_bytes = std::max(library_bytes, bytes);
    return candidate.algo;
  }
  log_warning(
      "cuDNN {} has no deterministic algorithm for {} of a convolution of {} filters with weights {} over {} "
      "in {} groups: a slower kernel takes its place",
      dotted_version(static_cast<int64_t>(cudnnGetVersion())), direction, spec.filters,
      to_string(spec.weights()), to_string(spec.data()), spec.groups);
  return std::nullopt;
}

void Conv::Cuda::Impl::plan() {
  const cudnnHandle_t cudnn = exec.cuda->cudnn();
  int count = 0;
  // The listings contain an algorithm once for each math type.
  std::array<cudnnConvolutionFwdAlgoPerf_t, 2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT> forwards{};
  cudnnStatus_t status =
      cudnnGetConvolutionForwardAlgorithm_v7(cudnn, x.get(), w.get(), convolution.get(), y.get(),
                                             static_cast<int>(forwards.size()), &count, forwards.data());
  forward = choose(forwards, listed_count(status, count), "forward",
                   [&](cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
                     return cudnnGetConvolutionForwardWorkspaceSize(
                         cudnn, x.get(), w.get(), convolution.get(), y.get(), algorithm, bytes);
                   });

  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, 2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> filters{};
  status =
      cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn, x.get(), y.get(), convolution.get(), w.get(),
                                                    static_cast<int>(filters.size()), &count, filters.data());
  backward_filter = choose(filters, listed_count(status, count), "the weight gradient",
                           [&](cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
                             return cudnnGetConvolutionBackwardFilterWorkspaceSize(
                                 cudnn, x.get(), y.get(), convolution.get(), w.get(), algorithm, bytes);
                           });

  if (!spec.needs_dx && !spec.transposed) return;
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, 2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> datas{};
  status = cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, w.get(), y.get(), convolution.get(), x.get(),
                                                       static_cast<int>(datas.size()), &count, datas.data());
  backward_data = choose(datas, listed_count(status, count), "the data gradient",
                         [&](cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
                           return cudnnGetConvolutionBackwardDataWorkspaceSize(
                               cudnn, w.get(), y.get(), convolution.get(), x.get(), algorithm, bytes);
                         });
}

const void* Conv::Cuda::Impl::padded(ConstTensor data, Tensor workspace) const {
  if (padded_bytes == 0) return data.raw();
  cuda::conv_pad(exec, spec, data, workspace.raw());
  return workspace.raw();
}

Conv::Cuda::Cuda(Exec exec, const ConvSpec& spec) : impl_(std::make_unique<Impl>(exec, spec)) {}

Conv::Cuda::~Cuda() = default;

size_t Conv::Cuda::workspace_bytes() const {
  return impl_->padded_bytes + impl_->narrow_bytes + impl_->library_bytes;
}

bool Conv::Cuda::adds_to_data() const {
  return impl_->spec.adds_to_dx && !impl_->spec.transposed && impl_->backward_data &&
         impl_->padded_bytes == 0;
}

void Conv::Cuda::convolve(ConstTensor data, ConstTensor w, ConstTensor b, Tensor result, Tensor workspace) {
  const Impl& p = *impl_;
  if (p.depthwise)
    cuda::depthwise_conv_forward(p.exec, p.spec, data, w, result);
  else if (p.forward)
    CHECK(cudnnConvolutionForward(p.exec.cuda->cudnn(), &kOne, p.x.get(), p.padded(data, workspace),
                                  p.w.get(), w.raw(), p.convolution.get(), *p.forward,
                                  p.library_workspace(workspace), p.library_bytes, &kZero, p.y.get(),
                                  result.raw()));
  else
    cuda::direct_conv_forward(p.exec, p.spec, data, w, result);
  if (p.spec.relu || b) cuda::bias_forward(p.exec, result, b, result, p.spec.relu);
}

void Conv::Cuda::data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, Tensor workspace) {
  const Impl& p = *impl_;
  if (p.depthwise) return cuda::depthwise_conv_data_gradient(p.exec, p.spec, w, dresult, ddata);
  if (!p.backward_data) return cuda::direct_conv_data_gradient(p.exec, p.spec, w, dresult, ddata);
  void* const dx = p.padded_bytes == 0 ? ddata.raw() : workspace.raw();
  const float* const factor_of_dx = adds_to_data() ? &kOne : &kZero;
  CHECK(cudnnConvolutionBackwardData(
      p.exec.cuda->cudnn(), &kOne, p.w.get(), w.raw(), p.y.get(), dresult.raw(), p.convolution.get(),
      *p.backward_data, p.library_workspace(workspace), p.library_bytes, factor_of_dx, p.x.get(), dx));
  if (p.padded_bytes > 0) cuda::conv_crop(p.exec, p.spec, dx, ddata);
}

void Conv::Cuda::filter_gradient(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db,
                                 Tensor workspace) {
  const Impl& p = *impl_;
  INVARIANT(!db, "conv: the gradient of the bias is not computed here");
  if (p.depthwise) return cuda::depthwise_conv_filter_gradient(p.exec, p.spec, data, dresult, dw);
  if (!p.backward_filter) return cuda::direct_conv_filter_gradient(p.exec, p.spec, data, dresult, dw);
  void* const gradient = p.narrow_bytes == 0 ? dw.raw() : p.narrow_gradient(workspace);
  CHECK(cudnnConvolutionBackwardFilter(p.exec.cuda->cudnn(), &kOne, p.x.get(), p.padded(data, workspace),
                                       p.y.get(), dresult.raw(), p.convolution.get(), *p.backward_filter,
                                       p.library_workspace(workspace), p.library_bytes, &kZero, p.w.get(),
                                       gradient));
  if (p.narrow_bytes > 0)
    cuda::widen(compute_stream(p.exec), p.spec.type, static_cast<const uint16_t*>(gradient), dw.data<float>(),
                dw.elements());
}

}  // namespace lockstep
