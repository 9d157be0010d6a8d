#pragma once

#include <string>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// load_checkpoint without the child process.
Checkpoint load_checkpoint_here(const std::string& path);

/// What the child process does: reads and verifies the structure and all metadata of a checkpoint, but no
/// elements; those then lie contiguous in the file and are read without libhdf5 deciding anything.
void check_checkpoint_here(const std::string& path);

}  // namespace lockstep
