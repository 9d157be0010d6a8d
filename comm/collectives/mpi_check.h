#pragma once

// CHECK() for MPI. Included by .cpp files of comm/ only.
#include <mpi.h>

#include <string>

#include "src/core/error.h"

namespace lockstep {

// MPI's status is a plain int, as is that of other libraries, so these three must not leave the file that
// includes them: internal linkage keeps each file's meaning of `int` its own.
static inline bool ok(int status) { return status == MPI_SUCCESS; }

static inline std::string describe(int status) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  return text;
}

/// With valid arguments, what fails is the network or a peer.
static inline ExitCode exit_code(int) { return ExitCode::lost; }

}  // namespace lockstep
