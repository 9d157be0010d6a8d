#pragma once

#include <string>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// load_checkpoint() without the child process.
Checkpoint load_checkpoint_here(const std::string& path);

/// The work of the child process: reads and verifies the structure and all metadata of a checkpoint, but no
/// elements, which are contiguous in a valid file and can be read without interpretation by libhdf5.
void check_checkpoint_here(const std::string& path);

}  // namespace lockstep
