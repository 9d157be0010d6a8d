#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// Writes the classes of samples as a data set `name` (N), in a group that exists, so that the classes have
/// these names: an enumeration of all of them, also of those that do not occur. If the names are too long for
/// an enumeration, which is limited to 64 KiB, `name` is a group of codes (N) and categories, as AnnData
/// stores them. numbers: in [0, classes). Throws Error(data).
void write_named_classes(hdf5::File& file, const std::string& name, std::span<const int32_t> numbers,
                         const std::vector<std::string>& classes);

}  // namespace lockstep
