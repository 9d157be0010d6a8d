#pragma once

#include <string>

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"

namespace lockstep {

// What every Dataset of HDF5 files says of itself.

/// Dataset::fingerprint(): of `identity` and a spread of samples.
uint64_t fingerprint_of(const Dataset& dataset, const std::string& identity);

/// Dataset::describe(): file, data set, shape and type of the samples, and whether all `bytes`, targets
/// included, are in memory or why they are not. Warns where reading a sample decompresses much more than it.
std::string describe_stored(const Column& samples, double bytes, int64_t budget);

}  // namespace lockstep
