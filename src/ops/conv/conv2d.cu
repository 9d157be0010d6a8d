#include <algorithm>
#include <array>
#include <climits>
#include <optional>

#include "src/core/log.h"
#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#include "src/ops/conv/conv2d_cuda.h"
#include "src/ops/conv/conv2d_direct.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pointwise/bias_cuda.h"

namespace lockstep {

namespace {

using TensorDescriptor = Handle<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using FilterDescriptor = Handle<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor = Handle<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

/// Algorithms that need more than this are skipped.
constexpr size_t kWorkspaceLimit = size_t{512} << 20;

const float kOne = 1.0f, kZero = 0.0f;

/// n, height, width, channels of a tensor that is channels-last in memory.
void create_tensor(TensorDescriptor& descriptor, int64_t n, int64_t h, int64_t w, int64_t c) {
  CHECK(cudnnCreateTensorDescriptor(descriptor.out()));
  CHECK(cudnnSetTensor4dDescriptor(descriptor.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, static_cast<int>(n),
                                   static_cast<int>(c), static_cast<int>(h), static_cast<int>(w)));
}

/// cuDNN's sizes are ints.
bool fits_cudnn(const Conv2dSpec& spec) {
  return spec.n * spec.h * spec.w * spec.c <= INT_MAX &&
         spec.n * spec.out_h() * spec.out_w() * spec.k <= INT_MAX &&
         spec.k * spec.r * spec.s * (spec.c / spec.groups) <= INT_MAX;
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

/// The algorithm of each direction; none: our own direct kernels.
struct Conv2d::Cuda::Impl {
  Impl(Exec on, const Conv2dSpec& shape);
  void plan();

  /// The first algorithm that is deterministic and fits the workspace limit; cuDNN lists the fastest first,
  /// by its own estimate. size(algorithm, bytes) queries the workspace.
  template <typename Performance, size_t kCount, typename Size>
  auto choose(const std::array<Performance, kCount>& listed, int count, const char* direction, Size size)
      -> std::optional<decltype(Performance::algo)>;

  Exec exec;
  Conv2dSpec spec;
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvolutionDescriptor convolution;
  std::optional<cudnnConvolutionFwdAlgo_t> forward;
  std::optional<cudnnConvolutionBwdDataAlgo_t> backward_data;
  std::optional<cudnnConvolutionBwdFilterAlgo_t> backward_filter;
  size_t workspace_bytes = 0;
};

Conv2d::Cuda::Impl::Impl(Exec on, const Conv2dSpec& shape) : exec(on), spec(shape) {
  if (spec.n == 0 || !fits_cudnn(spec)) return;
  create_tensor(x, spec.n, spec.h, spec.w, spec.c);
  create_tensor(y, spec.n, spec.out_h(), spec.out_w(), spec.k);
  CHECK(cudnnCreateFilterDescriptor(w.out()));
  CHECK(cudnnSetFilter4dDescriptor(w.get(), CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, static_cast<int>(spec.k),
                                   static_cast<int>(spec.c / spec.groups), static_cast<int>(spec.r),
                                   static_cast<int>(spec.s)));
  CHECK(cudnnCreateConvolutionDescriptor(convolution.out()));
  CHECK(cudnnSetConvolution2dDescriptor(
      convolution.get(), static_cast<int>(spec.pad_h), static_cast<int>(spec.pad_w),
      static_cast<int>(spec.stride_h), static_cast<int>(spec.stride_w), static_cast<int>(spec.dilation_h),
      static_cast<int>(spec.dilation_w), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  CHECK(cudnnSetConvolutionGroupCount(convolution.get(), static_cast<int>(spec.groups)));
  // The default would allow TF32.
  CHECK(cudnnSetConvolutionMathType(convolution.get(), CUDNN_FMA_MATH));
  plan();
}

template <typename Performance, size_t kCount, typename Size>
auto Conv2d::Cuda::Impl::choose(const std::array<Performance, kCount>& listed, int count,
                                const char* direction, Size size)
    -> std::optional<decltype(Performance::algo)> {
  for (int i = 0; i < count; ++i) {
    const Performance& candidate = listed[static_cast<size_t>(i)];
    if (!supported(candidate.status) || candidate.determinism != CUDNN_DETERMINISTIC) continue;
    // The listing may be for another math type, so the size is queried with ours, which also shows whether it
    // is supported.
    size_t bytes = 0;
    if (!supported(size(candidate.algo, &bytes)) || bytes > kWorkspaceLimit) continue;
    workspace_bytes = std::max(workspace_bytes, bytes);
    return candidate.algo;
  }
  log_warning(
      "cuDNN {} has no deterministic algorithm for {} of a convolution of {} filters {}x{} over "
      "({}, {}, {}, {}) in {} groups: a slower kernel takes its place",
      dotted_version(static_cast<int64_t>(cudnnGetVersion())), direction, spec.k, spec.r, spec.s, spec.n,
      spec.h, spec.w, spec.c, spec.groups);
  return std::nullopt;
}

void Conv2d::Cuda::Impl::plan() {
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

  if (!spec.needs_dx) return;
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, 2 * CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> datas{};
  status = cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, w.get(), y.get(), convolution.get(), x.get(),
                                                       static_cast<int>(datas.size()), &count, datas.data());
  backward_data = choose(datas, listed_count(status, count), "the data gradient",
                         [&](cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
                           return cudnnGetConvolutionBackwardDataWorkspaceSize(
                               cudnn, w.get(), y.get(), convolution.get(), x.get(), algorithm, bytes);
                         });
}

Conv2d::Cuda::Cuda(Exec exec, const Conv2dSpec& spec) : impl_(std::make_unique<Impl>(exec, spec)) {}

Conv2d::Cuda::~Cuda() = default;

size_t Conv2d::Cuda::workspace_bytes() const { return impl_->workspace_bytes; }

void Conv2d::Cuda::forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace) {
  const Impl& p = *impl_;
  if (p.spec.n == 0) return;
  if (p.forward)
    CHECK(cudnnConvolutionForward(p.exec.cuda->cudnn(), &kOne, p.x.get(), x.raw(), p.w.get(), w.raw(),
                                  p.convolution.get(), *p.forward, workspace.raw(), p.workspace_bytes, &kZero,
                                  p.y.get(), y.raw()));
  else
    cuda::direct_conv2d_forward(p.exec, p.spec, x.data<float>(), w.data<float>(), y.data<float>());
  if (p.spec.relu)
    cuda::bias_relu_in_place(p.exec, b, y);
  else if (b)
    cuda::bias_forward(p.exec, y, b, y);
}

void Conv2d::Cuda::backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                            Tensor workspace) {
  const Impl& p = *impl_;
  if (db) cuda::bias_backward(p.exec, dy, db);
  if (dw && p.backward_filter)
    CHECK(cudnnConvolutionBackwardFilter(p.exec.cuda->cudnn(), &kOne, p.x.get(), x.raw(), p.y.get(), dy.raw(),
                                         p.convolution.get(), *p.backward_filter, workspace.raw(),
                                         p.workspace_bytes, &kZero, p.w.get(), dw.raw()));
  else if (dw)
    cuda::direct_conv2d_backward_filter(p.exec, p.spec, x.data<float>(), dy.data<float>(), dw.data<float>());
  if (!dx) return;
  if (p.backward_data)
    CHECK(cudnnConvolutionBackwardData(p.exec.cuda->cudnn(), &kOne, p.w.get(), w.raw(), p.y.get(), dy.raw(),
                                       p.convolution.get(), *p.backward_data, workspace.raw(),
                                       p.workspace_bytes, &kZero, p.x.get(), dx.raw()));
  else
    cuda::direct_conv2d_backward_data(p.exec, p.spec, w.data<float>(), dy.data<float>(), dx.data<float>());
}

}  // namespace lockstep
