#pragma once

// CHECK() for MPI. Included by .cpp files of comm/ only.
#include <mpi.h>

#include <string>

#include "src/core/error.h"

namespace lockstep {

// MPI's status is a plain int, like that of other libraries. Internal linkage keeps these three functions
// within the file that includes them.
static inline bool ok(int status) { return status == MPI_SUCCESS; }

static inline std::string describe(int status) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  return text;
}

/// With valid arguments, only the network or a peer can fail.
static inline ExitCode exit_code(int) { return ExitCode::lost; }

}  // namespace lockstep
