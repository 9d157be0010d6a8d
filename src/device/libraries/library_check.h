#pragma once

// CHECK() for cuBLASLt and cuDNN. Included only where those libraries may be used.
#include <cublasLt.h>
#include <cudnn.h>

#include <string>

#include "src/core/error.h"

// In the global namespace, where the libraries' own types live, so that argument-dependent lookup finds them.
inline bool ok(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS; }
inline std::string describe(cublasStatus_t status) { return cublasLtGetStatusString(status); }
inline lockstep::ExitCode exit_code(cublasStatus_t status) {
  return status == CUBLAS_STATUS_ALLOC_FAILED ? lockstep::ExitCode::memory : lockstep::ExitCode::bug;
}

inline bool ok(cudnnStatus_t status) { return status == CUDNN_STATUS_SUCCESS; }
inline std::string describe(cudnnStatus_t status) {
  char details[512] = {};
  cudnnGetLastErrorString(details, sizeof details);
  return std::string(cudnnGetErrorString(status)) + (details[0] == '\0' ? "" : ": ") + details;
}
inline lockstep::ExitCode exit_code(cudnnStatus_t status) {
  return status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                 status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
             ? lockstep::ExitCode::memory
             : lockstep::ExitCode::bug;
}
