#pragma once

// CHECK() for NCCL. Included by the NCCL communicator only.
#include <nccl.h>

#include <string>

#include "src/core/error.h"

// In the global namespace, where ncclResult_t lives, so that argument-dependent lookup finds them.
inline bool ok(ncclResult_t status) { return status == ncclSuccess; }

inline std::string describe(ncclResult_t status) {
  const std::string last = ncclGetLastError(nullptr);
  return ncclGetErrorString(status) + (last.empty() ? "" : " (" + last + ")");
}

inline lockstep::ExitCode exit_code(ncclResult_t status) {
  // A system error is a failed socket or fabric call; the others are errors of the caller, Lockstep.
  return status == ncclRemoteError || status == ncclSystemError ? lockstep::ExitCode::lost
                                                                : lockstep::ExitCode::bug;
}
