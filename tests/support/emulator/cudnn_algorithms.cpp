// cuDNN's convolutions on the CPU: the three directions with the algorithms that each may choose among. Rules
// are those of the cuDNN documentation, "cudnn_cnn Library" and "Odds and Ends: Reproducibility": which
// formats go together, which algorithms sum in an order left to chance (ALGO_0 of both backward directions;
// none of forward). Where the documentation's tables leave a case open, the emulator does without: depthwise
// convolutions, and groups in three dimensions, have no forward algorithm, no deterministic one for the
// filters, and are refused for the data.
#include <algorithm>
#include <iterator>

#include "tests/support/emulator/cudnn_convolution.h"

namespace emulator::cudnn {

namespace {

int64_t outputs(int64_t in, int64_t pad, int64_t filter, int64_t stride, int64_t dilation) {
  return (in + 2 * pad - dilation * (filter - 1) - 1) / stride + 1;
}

cudnnStatus_t understand(cudnnTensorDescriptor_t x_handle, cudnnFilterDescriptor_t w_handle,
                         cudnnConvolutionDescriptor_t convolution_handle, cudnnTensorDescriptor_t y_handle,
                         Problem* problem) {
  const Tensor *x = tensors.find(x_handle), *w = filters.find(w_handle), *y = tensors.find(y_handle);
  const Convolution* convolution = convolutions.find(convolution_handle);
  if (x == nullptr || w == nullptr || y == nullptr || convolution == nullptr || !x->is_set || !w->is_set ||
      !y->is_set || !convolution->is_set)
    return CUDNN_STATUS_BAD_PARAM;
  *problem = {*x, *w, *y, *convolution};
  const Convolution& c = *convolution;
  if (x->axes != w->axes || x->axes != y->axes || x->axes != c.axes) return CUDNN_STATUS_BAD_PARAM;
  if (x->n != y->n || x->c != w->c * c.groups || y->c != w->n || w->n % c.groups != 0)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  for (size_t axis = 0; axis < kMaxAxes; ++axis)
    if (y->extents[axis] !=
        outputs(x->extents[axis], c.padding[axis], w->extents[axis], c.stride[axis], c.dilation[axis]))
      return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;

  // The tables list two and three dimensions: one is two with an extent of 1.
  if (c.axes == 1) return CUDNN_STATUS_NOT_SUPPORTED;
  // What the emulator knows are FLOAT_CONFIG, PSEUDO_HALF_CONFIG and PSEUDO_BFLOAT16_CONFIG: all three of one
  // type, summed in float. CUDNN_FMA_MATH excludes tensor cores, which alone multiply two bytes and sum in
  // float. NHWC filters go with NHWC tensors only.
  if (c.mode != CUDNN_CROSS_CORRELATION) return CUDNN_STATUS_NOT_SUPPORTED;
  const bool is_narrow = x->type == CUDNN_DATA_HALF || x->type == CUDNN_DATA_BFLOAT16;
  if ((x->type != CUDNN_DATA_FLOAT && !is_narrow) || w->type != x->type || y->type != x->type ||
      c.compute != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
  if (is_narrow && c.math == CUDNN_FMA_MATH) return CUDNN_STATUS_NOT_SUPPORTED;
  if (x->format != w->format || x->format != y->format) return CUDNN_STATUS_NOT_SUPPORTED_LAYOUT;
  return CUDNN_STATUS_SUCCESS;
}

// 0 is ALGO_0 backward, which is not deterministic, and IMPLICIT_GEMM forward; 1 is ALGO_1 backward and
// IMPLICIT_PRECOMP_GEMM forward. The others do not know NHWC.
constexpr int kFirst = 0, kWithWorkspace = 1;

bool is_deterministic(Direction direction, int algorithm) {
  return direction == Direction::forward || algorithm != kFirst;
}

bool is_supported(Direction direction, int algorithm, const Problem& problem) {
  if (problem.is_left_open()) return direction == Direction::filter && algorithm == kFirst;
  return algorithm == kFirst || algorithm == kWithWorkspace;
}

size_t workspace_bytes(Direction direction, int algorithm, const Problem& problem) {
  if (algorithm != kWithWorkspace) return 0;
  if (direction == Direction::filter) return 2 * problem.w.bytes();  // partial sums
  return static_cast<size_t>(problem.y.positions() * problem.w.positions()) * sizeof(int32_t);
}

/// The algorithms, the fastest first. As in the real listings one appears once for each math type, and one
/// that does not support the convolution is listed with that status.
template <typename Performance>
cudnnStatus_t list(Direction direction, const Problem& problem, int wanted, int* found,
                   Performance* results) {
  if (wanted <= 0 || found == nullptr || results == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *found = 0;
  if (problem.is_left_open() && direction == Direction::data) return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  struct Entry {
    int algorithm;
    cudnnMathType_t math;
  };
  constexpr int kFft = CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT;
  const Entry backward[] = {{kFirst, CUDNN_DEFAULT_MATH},
                            {kFirst, CUDNN_FMA_MATH},
                            {kFft, CUDNN_FMA_MATH},
                            {kWithWorkspace, CUDNN_DEFAULT_MATH},
                            {kWithWorkspace, CUDNN_FMA_MATH}};
  const Entry forward[] = {{CUDNN_CONVOLUTION_FWD_ALGO_FFT, CUDNN_FMA_MATH},
                           {kWithWorkspace, CUDNN_DEFAULT_MATH},
                           {kWithWorkspace, CUDNN_FMA_MATH},
                           {kFirst, CUDNN_FMA_MATH}};
  const auto add = [&](const Entry& entry) {
    if (*found == wanted) return;
    const bool supported = is_supported(direction, entry.algorithm, problem);
    results[(*found)++] = {.algo = static_cast<decltype(Performance::algo)>(entry.algorithm),
                           .status = supported ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED,
                           .time = -1,
                           .memory = supported ? workspace_bytes(direction, entry.algorithm, problem) : 0,
                           .determinism = is_deterministic(direction, entry.algorithm)
                                              ? CUDNN_DETERMINISTIC
                                              : CUDNN_NON_DETERMINISTIC,
                           .mathType = entry.math,
                           .reserved = {}};
  };
  if (direction == Direction::forward)
    std::for_each(std::begin(forward), std::end(forward), add);
  else
    std::for_each(std::begin(backward), std::end(backward), add);
  return CUDNN_STATUS_SUCCESS;
}

struct Call {
  Direction direction;
  int algorithm;
  cudnnTensorDescriptor_t x;
  cudnnFilterDescriptor_t w;
  cudnnConvolutionDescriptor_t convolution;
  cudnnTensorDescriptor_t y;
};

cudnnStatus_t ask_workspace(cudnnHandle_t handle, const Call& call, size_t* bytes) {
  if (contexts.find(handle) == nullptr || bytes == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Problem problem;
  if (const cudnnStatus_t status = understand(call.x, call.w, call.convolution, call.y, &problem))
    return status;
  if (!is_supported(call.direction, call.algorithm, problem)) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = workspace_bytes(call.direction, call.algorithm, problem);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t convolve(cudnnHandle_t handle, const Call& call, const void* alpha, const void* x,
                       const void* w, const void* y, void* result, const void* beta, void* workspace,
                       size_t bytes) {
  size_t needed = 0;
  if (const cudnnStatus_t status = ask_workspace(handle, call, &needed)) return status;
  if (alpha == nullptr || beta == nullptr || x == nullptr || w == nullptr || y == nullptr)
    return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (bytes < needed) return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
  if (needed > 0 && workspace == nullptr) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  Problem problem;
  if (const cudnnStatus_t status = understand(call.x, call.w, call.convolution, call.y, &problem))
    return status;
  const Arguments arguments{
      x, w, y, result, *static_cast<const float*>(alpha), *static_cast<const float*>(beta), workspace};
  return start(contexts.find(handle)->stream, call.direction, problem, arguments, needed,
               is_deterministic(call.direction, call.algorithm));
}

template <typename Performance>
cudnnStatus_t ask_algorithms(cudnnHandle_t handle, const Call& call, int wanted, int* found,
                             Performance* results) {
  if (contexts.find(handle) == nullptr) return CUDNN_STATUS_BAD_PARAM;
  Problem problem;
  if (const cudnnStatus_t status = understand(call.x, call.w, call.convolution, call.y, &problem))
    return status;
  return list(call.direction, problem, wanted, found, results);
}

}  // namespace

}  // namespace emulator::cudnn

using namespace emulator::cudnn;

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                     cudnnFilterDescriptor_t w,
                                                     cudnnConvolutionDescriptor_t convolution,
                                                     cudnnTensorDescriptor_t y, int wanted, int* found,
                                                     cudnnConvolutionFwdAlgoPerf_t* results) {
  return ask_algorithms(handle, {Direction::forward, 0, x, w, convolution, y}, wanted, found, results);
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                      cudnnFilterDescriptor_t w,
                                                      cudnnConvolutionDescriptor_t convolution,
                                                      cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
  return ask_workspace(handle, {Direction::forward, algorithm, x, w, convolution, y}, bytes);
}
cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t x_descriptor, const void* x,
                                      cudnnFilterDescriptor_t w_descriptor, const void* w,
                                      cudnnConvolutionDescriptor_t convolution,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      size_t workspace_bytes, const void* beta,
                                      cudnnTensorDescriptor_t y_descriptor, void* y) {
  return convolve(handle,
                  {Direction::forward, algorithm, x_descriptor, w_descriptor, convolution, y_descriptor},
                  alpha, x, w, y, y, beta, workspace, workspace_bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, cudnnFilterDescriptor_t w,
                                                          cudnnTensorDescriptor_t dy,
                                                          cudnnConvolutionDescriptor_t convolution,
                                                          cudnnTensorDescriptor_t dx, int wanted, int* found,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* results) {
  return ask_algorithms(handle, {Direction::data, 0, dx, w, convolution, dy}, wanted, found, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, cudnnFilterDescriptor_t w,
                                                           cudnnTensorDescriptor_t dy,
                                                           cudnnConvolutionDescriptor_t convolution,
                                                           cudnnTensorDescriptor_t dx,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm,
                                                           size_t* bytes) {
  return ask_workspace(handle, {Direction::data, algorithm, dx, w, convolution, dy}, bytes);
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t w_descriptor, const void* w,
                                           cudnnTensorDescriptor_t dy_descriptor, const void* dy,
                                           cudnnConvolutionDescriptor_t convolution,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           size_t workspace_bytes, const void* beta,
                                           cudnnTensorDescriptor_t dx_descriptor, void* dx) {
  return convolve(handle,
                  {Direction::data, algorithm, dx_descriptor, w_descriptor, convolution, dy_descriptor},
                  alpha, dx, w, dy, dx, beta, workspace, workspace_bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                            cudnnTensorDescriptor_t dy,
                                                            cudnnConvolutionDescriptor_t convolution,
                                                            cudnnFilterDescriptor_t dw, int wanted,
                                                            int* found,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* results) {
  return ask_algorithms(handle, {Direction::filter, 0, x, dw, convolution, dy}, wanted, found, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                             cudnnTensorDescriptor_t dy,
                                                             cudnnConvolutionDescriptor_t convolution,
                                                             cudnnFilterDescriptor_t dw,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm,
                                                             size_t* bytes) {
  return ask_workspace(handle, {Direction::filter, algorithm, x, dw, convolution, dy}, bytes);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             cudnnTensorDescriptor_t x_descriptor, const void* x,
                                             cudnnTensorDescriptor_t dy_descriptor, const void* dy,
                                             cudnnConvolutionDescriptor_t convolution,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                                             size_t workspace_bytes, const void* beta,
                                             cudnnFilterDescriptor_t dw_descriptor, void* dw) {
  return convolve(handle,
                  {Direction::filter, algorithm, x_descriptor, dw_descriptor, convolution, dy_descriptor},
                  alpha, x, dw, dy, dw, beta, workspace, workspace_bytes);
}
