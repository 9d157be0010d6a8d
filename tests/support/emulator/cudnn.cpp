// cuDNN's handles and descriptors on the CPU. Which values they refuse is what cuDNN 9.19 answers on a
// machine without a GPU, where these calls work. The convolutions are in cudnn_algorithms.cpp.
#include "tests/support/emulator/cudnn_descriptors.h"

#include <algorithm>

namespace emulator::cudnn {

Handles<cudnnHandle_t, Context> contexts;
Handles<cudnnTensorDescriptor_t, Tensor> tensors;
Handles<cudnnFilterDescriptor_t, Tensor> filters;
Handles<cudnnConvolutionDescriptor_t, Convolution> convolutions;

namespace {

template <typename Handle, typename Object>
cudnnStatus_t create(Handles<Handle, Object>& handles, Handle* handle) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *handle = handles.add({});
  return CUDNN_STATUS_SUCCESS;
}
template <typename Handle, typename Object>
cudnnStatus_t destroy(Handles<Handle, Object>& handles, Handle handle) {
  return handle == nullptr || handles.remove(handle) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

bool is_type(cudnnDataType_t type) {
  return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_DOUBLE || type == CUDNN_DATA_HALF ||
         type == CUDNN_DATA_BFLOAT16;
}

/// The spatial numbers behind the first `skipped`, with `missing` for the axes in front that are not there.
Numbers spatial(const int numbers[], int skipped, int axes, int64_t missing) {
  Numbers result;
  result.fill(missing);
  std::copy_n(numbers + skipped, axes, result.end() - axes);
  return result;
}

/// Extents: n, c, then one to three spatial ones.
cudnnStatus_t set(Tensor* tensor, cudnnTensorFormat_t format, cudnnDataType_t type, int count,
                  const int extents[]) {
  if (tensor == nullptr || extents == nullptr || count < 3 || !is_type(type) ||
      (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC))
    return CUDNN_STATUS_BAD_PARAM;
  const int axes = count - 2;
  if (axes > kMaxAxes) return CUDNN_STATUS_NOT_SUPPORTED;
  if (std::any_of(extents, extents + count, [](int extent) { return extent <= 0; }))
    return CUDNN_STATUS_BAD_PARAM;
  const Tensor result{.is_set = true,
                      .format = format,
                      .type = type,
                      .axes = axes,
                      .n = extents[0],
                      .c = extents[1],
                      .extents = spatial(extents, 2, axes, 1)};
  // "The total size of the tensor descriptor exceeds the maximum limit of 2 Giga-elements."
  if (result.elements() > int64_t{INT_MAX}) return CUDNN_STATUS_NOT_SUPPORTED;
  *tensor = result;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

}  // namespace emulator::cudnn

using namespace emulator::cudnn;

size_t cudnnGetVersion(void) { return CUDNN_VERSION; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
    case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED:
      return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    case CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE:
      return "CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE";
    case CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT:
      return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
    case CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH";
    case CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_NOT_SUPPORTED_SHAPE:
      return "CUDNN_STATUS_NOT_SUPPORTED_SHAPE";
    case CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE:
      return "CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE";
    case CUDNN_STATUS_NOT_SUPPORTED_LAYOUT:
      return "CUDNN_STATUS_NOT_SUPPORTED_LAYOUT";
    case CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED";
    case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
    case CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "CUDNN_UNKNOWN_STATUS";
}

void cudnnGetLastErrorString(char* message, size_t bytes) {
  if (bytes > 0) message[0] = '\0';
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (!emulator::can_initialize()) return CUDNN_STATUS_NOT_INITIALIZED;
  return create(contexts, handle);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return destroy(contexts, handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  Context* context = contexts.find(handle);
  if (context == nullptr) return CUDNN_STATUS_BAD_PARAM;
  context->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* tensor) { return create(tensors, tensor); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) {
  return destroy(tensors, tensor);
}
cudnnStatus_t cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                           cudnnDataType_t type, int count, const int extents[]) {
  return set(tensors.find(tensor), format, type, count, extents);
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* filter) { return create(filters, filter); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filter) {
  return destroy(filters, filter);
}
cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int count, const int extents[]) {
  return set(filters.find(filter), format, type, count, extents);
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* convolution) {
  return create(convolutions, convolution);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t convolution) {
  return destroy(convolutions, convolution);
}
cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t handle, int axes,
                                              const int padding[], const int stride[], const int dilation[],
                                              cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
  Convolution* convolution = convolutions.find(handle);
  if (convolution == nullptr || axes < 1 || padding == nullptr || stride == nullptr || dilation == nullptr ||
      !is_type(compute) || (mode != CUDNN_CONVOLUTION && mode != CUDNN_CROSS_CORRELATION))
    return CUDNN_STATUS_BAD_PARAM;
  if (axes > kMaxAxes) return CUDNN_STATUS_NOT_SUPPORTED;
  for (int axis = 0; axis < axes; ++axis)
    if (padding[axis] < 0 || stride[axis] <= 0 || dilation[axis] <= 0) return CUDNN_STATUS_BAD_PARAM;
  *convolution = {.is_set = true,
                  .axes = axes,
                  .padding = spatial(padding, 0, axes, 0),
                  .stride = spatial(stride, 0, axes, 1),
                  .dilation = spatial(dilation, 0, axes, 1),
                  .mode = mode,
                  .compute = compute,
                  .groups = convolution->groups,
                  .math = convolution->math};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t handle, int groups) {
  Convolution* convolution = convolutions.find(handle);
  if (convolution == nullptr || groups <= 0) return CUDNN_STATUS_BAD_PARAM;
  convolution->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t handle, cudnnMathType_t math) {
  Convolution* convolution = convolutions.find(handle);
  if (convolution == nullptr || math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH)
    return CUDNN_STATUS_BAD_PARAM;
  convolution->math = math;
  return CUDNN_STATUS_SUCCESS;
}
