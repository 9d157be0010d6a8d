#pragma once

#include "comm/world.h"

namespace lockstep {

/// The one World of the mpi_tests program. Every test runs on all ranks at the same time.
World& test_world();

}  // namespace lockstep
