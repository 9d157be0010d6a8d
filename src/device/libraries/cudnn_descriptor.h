#pragma once

// Descriptors of cuDNN's backend API, which hold attributes until they are finalized. Included only where
// cuDNN may be used.
#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/device/libraries/handle.h"
#include "src/device/libraries/library_check.h"

namespace lockstep {

/// Owns a descriptor of the backend API.
using CudnnDescriptor = Handle<cudnnBackendDescriptor_t, cudnnBackendDestroyDescriptor>;

/// Whether cuDNN supports the request. Throws for any other error than "not supported", which a fallback
/// would hide.
bool is_supported(cudnnStatus_t status);

namespace cudnn {

// The type that cuDNN gives an attribute follows from that of its values.
constexpr cudnnBackendAttributeType_t attribute_type(const bool*) { return CUDNN_TYPE_BOOLEAN; }
constexpr cudnnBackendAttributeType_t attribute_type(const int64_t*) { return CUDNN_TYPE_INT64; }
constexpr cudnnBackendAttributeType_t attribute_type(const float*) { return CUDNN_TYPE_FLOAT; }
constexpr cudnnBackendAttributeType_t attribute_type(void* const*) { return CUDNN_TYPE_VOID_PTR; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnHandle_t*) { return CUDNN_TYPE_HANDLE; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnDataType_t*) { return CUDNN_TYPE_DATA_TYPE; }
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnConvolutionMode_t*) {
  return CUDNN_TYPE_CONVOLUTION_MODE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnPointwiseMode_t*) {
  return CUDNN_TYPE_POINTWISE_MODE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnReduceTensorOp_t*) {
  return CUDNN_TYPE_REDUCTION_OPERATOR_TYPE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendHeurMode_t*) {
  return CUDNN_TYPE_HEUR_MODE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendNumericalNote_t*) {
  return CUDNN_TYPE_NUMERICAL_NOTE;
}
constexpr cudnnBackendAttributeType_t attribute_type(const cudnnBackendBehaviorNote_t*) {
  return CUDNN_TYPE_BEHAVIOR_NOTE;
}

inline CudnnDescriptor create(cudnnBackendDescriptorType_t type) {
  CudnnDescriptor descriptor;
  CHECK(cudnnBackendCreateDescriptor(type, descriptor.out()));
  return descriptor;
}

template <typename T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, const std::vector<T>& values) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, attribute_type(values.data()),
                                 static_cast<int64_t>(values.size()), values.data()));
}
template <typename T>
void set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name, const T& value) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, attribute_type(&value), 1, &value));
}

/// Makes other descriptors the values of an attribute. (Their type is that of a pointer to memory, so set()
/// could not tell them apart.)
inline void refer(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
                  const std::vector<cudnnBackendDescriptor_t>& others) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 static_cast<int64_t>(others.size()), others.data()));
}
inline void refer(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
                  cudnnBackendDescriptor_t other) {
  CHECK(cudnnBackendSetAttribute(descriptor.get(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other));
}

inline int64_t integer(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name) {
  int64_t count = 0, value = 0;
  CHECK(cudnnBackendGetAttribute(descriptor.get(), name, CUDNN_TYPE_INT64, 1, &count, &value));
  return value;
}

}  // namespace cudnn
}  // namespace lockstep
