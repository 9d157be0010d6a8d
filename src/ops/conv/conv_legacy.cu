#include "src/ops/conv/conv_legacy.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <vector>

#include "src/device/cuda_context.h"
#include "src/ops/conv/conv_kernels.h"

namespace lockstep::cuda {

namespace {

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

template <typename Descriptor>
void create_tensor(Descriptor& descriptor, DType type, const Shape& shape) {
  const std::vector<int> extents = cudnn_extents(shape);
  CHECK(cudnnCreateTensorDescriptor(descriptor.out()));
  // NHWC stands for channels-last with any number of axes.
  CHECK(cudnnSetTensorNdDescriptorEx(descriptor.get(), CUDNN_TENSOR_NHWC, cudnn_type(type),
                                     static_cast<int>(extents.size()), extents.data()));
}

bool fits_ints(const Shape& shape) {
  double elements = 1;
  for (const int64_t extent : shape.extents()) elements *= static_cast<double>(extent);
  return elements <= INT_MAX;
}

/// The number of algorithms listed; 0 if cuDNN does not support the convolution at all.
int listed_count(cudnnStatus_t status, int count) { return is_supported(status) ? count : 0; }

}  // namespace

cudnnDataType_t cudnn_type(DType type) {
  return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : type == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

size_t aligned_bytes(int64_t elements, DType type) {
  constexpr size_t kAlignment = 256;
  return (static_cast<size_t>(elements) * size_of(type) + kAlignment - 1) / kAlignment * kAlignment;
}

bool LegacyConv::can_describe(const ConvSpec& spec) {
  const ConvSpec padded = as_for_cudnn(spec);
  return fits_ints(padded.data()) && fits_ints(padded.result()) && fits_ints(padded.weights());
}

LegacyConv::LegacyConv(Exec exec, const ConvSpec& spec) : exec_(exec), spec_(spec) {
  const ConvSpec cudnn_spec = as_for_cudnn(spec);
  create_tensor(x_, spec.type, cudnn_spec.data());
  create_tensor(y_, spec.type, cudnn_spec.result());
  const std::vector<int> filter_extents = cudnn_extents(cudnn_spec.weights());
  CHECK(cudnnCreateFilterDescriptor(w_.out()));
  CHECK(cudnnSetFilterNdDescriptor(w_.get(), cudnn_type(spec.type), CUDNN_TENSOR_NHWC,
                                   static_cast<int>(filter_extents.size()), filter_extents.data()));
  std::vector<int> padding, stride, dilation;
  for (const ConvAxis& axis : cudnn_spec.axes) {
    padding.push_back(static_cast<int>(axis.pad_before));
    stride.push_back(static_cast<int>(axis.stride));
    dilation.push_back(static_cast<int>(axis.dilation));
  }
  CHECK(cudnnCreateConvolutionDescriptor(convolution_.out()));
  CHECK(cudnnSetConvolutionNdDescriptor(convolution_.get(), cudnn_spec.axes.count(), padding.data(),
                                        stride.data(), dilation.data(), CUDNN_CROSS_CORRELATION,
                                        CUDNN_DATA_FLOAT));
  CHECK(cudnnSetConvolutionGroupCount(convolution_.get(), static_cast<int>(spec.groups)));
  CHECK(cudnnSetConvolutionMathType(convolution_.get(), math_type(spec)));
}

bool LegacyConv::plan(Direction direction) {
  if (direction == Direction::forward)
    plan_forward();
  else if (direction == Direction::data_gradient)
    plan_data_gradient();
  else
    plan_filter_gradient();
  const bool is_used = forward_ || backward_data_ || backward_filter_;
  if (is_used && !has_symmetric_padding(spec_))
    padded_bytes_ = aligned_bytes(as_for_cudnn(spec_).data().elements(), spec_.type);
  return direction == Direction::forward         ? forward_.has_value()
         : direction == Direction::data_gradient ? backward_data_.has_value()
                                                 : backward_filter_.has_value();
}

template <typename Performance, size_t kCount, typename Size>
auto LegacyConv::choose(const std::array<Performance, kCount>& listed, int count, Size size)
    -> std::optional<decltype(Performance::algo)> {
  for (int i = 0; i < count; ++i) {
    const Performance& candidate = listed[static_cast<size_t>(i)];
    if (!is_supported(candidate.status) || candidate.determinism != CUDNN_DETERMINISTIC) continue;
    // The listing may be for another math type, so the size is queried with ours, which also shows whether it
    // is supported.
    size_t bytes = 0;
    if (!is_supported(size(candidate.algo, &bytes)) || bytes > kCudnnWorkspaceLimit) continue;
    library_bytes_ = std::max(library_bytes_, bytes);
    return candidate.algo;
  }
  return std::nullopt;
}

// The listings contain an algorithm once for each math type.

void LegacyConv::plan_forward() {
  const cudnnHandle_t cudnn = exec_.cuda->cudnn();
  std::array<cudnnConvolutionFwdAlgoPerf_t, 2 * CUDNN_CONVOLUTION_FWD_ALGO_COUNT> listed{};
  int count = 0;
  const cudnnStatus_t status =
      cudnnGetConvolutionForwardAlgorithm_v7(cudnn, x_.get(), w_.get(), convolution_.get(), y_.get(),
                                             static_cast<int>(listed.size()), &count, listed.data());
  forward_ =
      choose(listed, listed_count(status, count), [&](cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
        return cudnnGetConvolutionForwardWorkspaceSize(cudnn, x_.get(), w_.get(), convolution_.get(),
                                                       y_.get(), algorithm, bytes);
      });
}

void LegacyConv::plan_filter_gradient() {
  const cudnnHandle_t cudnn = exec_.cuda->cudnn();
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, 2 * CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> listed{};
  int count = 0;
  const cudnnStatus_t status =
      cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn, x_.get(), y_.get(), convolution_.get(), w_.get(),
                                                    static_cast<int>(listed.size()), &count, listed.data());
  backward_filter_ = choose(listed, listed_count(status, count),
                            [&](cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
                              return cudnnGetConvolutionBackwardFilterWorkspaceSize(
                                  cudnn, x_.get(), y_.get(), convolution_.get(), w_.get(), algorithm, bytes);
                            });
}

void LegacyConv::plan_data_gradient() {
  const cudnnHandle_t cudnn = exec_.cuda->cudnn();
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, 2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> listed{};
  int count = 0;
  const cudnnStatus_t status =
      cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, w_.get(), y_.get(), convolution_.get(), x_.get(),
                                                  static_cast<int>(listed.size()), &count, listed.data());
  backward_data_ = choose(listed, listed_count(status, count),
                          [&](cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
                            return cudnnGetConvolutionBackwardDataWorkspaceSize(
                                cudnn, w_.get(), y_.get(), convolution_.get(), x_.get(), algorithm, bytes);
                          });
}

const void* LegacyConv::padded(ConstTensor data, void* workspace) const {
  if (padded_bytes_ == 0) return data.raw();
  conv_pad(exec_, spec_, data, workspace);
  return workspace;
}

void* LegacyConv::library_workspace(void* workspace) const {
  return static_cast<std::byte*>(workspace) + padded_bytes_;
}

void LegacyConv::convolve(ConstTensor data, ConstTensor w, Tensor result, void* workspace) const {
  CHECK(cudnnConvolutionForward(exec_.cuda->cudnn(), &kOne, x_.get(), padded(data, workspace), w_.get(),
                                w.raw(), convolution_.get(), *forward_, library_workspace(workspace),
                                library_bytes_, &kZero, y_.get(), result.raw()));
}

void LegacyConv::data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, void* workspace) const {
  void* const dx = padded_bytes_ == 0 ? ddata.raw() : workspace;
  CHECK(cudnnConvolutionBackwardData(exec_.cuda->cudnn(), &kOne, w_.get(), w.raw(), y_.get(), dresult.raw(),
                                     convolution_.get(), *backward_data_, library_workspace(workspace),
                                     library_bytes_, &kZero, x_.get(), dx));
  if (padded_bytes_ > 0) conv_crop(exec_, spec_, dx, ddata);
}

void LegacyConv::filter_gradient(ConstTensor data, ConstTensor dresult, void* dw, void* workspace) const {
  CHECK(cudnnConvolutionBackwardFilter(exec_.cuda->cudnn(), &kOne, x_.get(), padded(data, workspace),
                                       y_.get(), dresult.raw(), convolution_.get(), *backward_filter_,
                                       library_workspace(workspace), library_bytes_, &kZero, w_.get(), dw));
}

}  // namespace lockstep::cuda
