#pragma once

#include <functional>
#include <span>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// Opens a data set for walk_values() in a child process, with enough memory for its chunks.
Dataset open_to_walk(const File& file, const std::string& name);

/// Throws Error(data) if there are so many unwritten chunks that looking up each would take hours: a damaged
/// header may claim any extents.
void require_plausible_chunks(const Dataset& dataset);

/// The number of elements that were never written, and the fill value as which they read.
struct Unwritten {
  int64_t elements = 0;
  double value = 0;
};

/// Calls visit(values, start, size) for all elements of a data set of numbers, in boxes [start, start + size)
/// of a few MiB: decodes each chunk once, and only a chunk has to fit into memory, not a sample. Boxes are in
/// the order of the chunks, which may differ from that of the samples. Skips chunks that were never written
/// and returns how many elements they have. Throws Error(data) as reading does, and for more chunks than can
/// be looked up.
Unwritten walk_values(
    const Dataset& dataset,
    const std::function<void(std::span<const double> values, const std::vector<hsize_t>& start,
                             const std::vector<hsize_t>& size)>& visit);

/// Decodes each chunk of a data set of any elements that hold their values, by reading one of them. Throws
/// Error(data) as reading does, and for more chunks than can be looked up.
void decode_chunks(const Dataset& dataset);

}  // namespace lockstep::hdf5
