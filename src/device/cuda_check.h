#pragma once

// CHECK() for the CUDA runtime. Included only where CUDA may be used.
#include <cuda_runtime.h>

#include <string>

#include "src/core/error.h"

// In the global namespace, where the library's own types live, so that argument-dependent lookup finds them.
inline bool ok(cudaError_t status) { return status == cudaSuccess; }
inline std::string describe(cudaError_t status) { return cudaGetErrorString(status); }
inline lockstep::ExitCode exit_code(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? lockstep::ExitCode::memory : lockstep::ExitCode::bug;
}
