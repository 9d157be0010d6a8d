#pragma once

#include <functional>
#include <span>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// Opens a data set to walk over it in a child process: with memory for its chunks.
Dataset open_to_walk(const File& file, const std::string& name);

/// Throws Error(data) for so many chunks that were never written that looking each up would take hours: a
/// damaged header may claim any extents.
void require_plausible_chunks(const Dataset& dataset);

/// Elements that were never written, and the fill value that they read as.
struct Unwritten {
  int64_t elements = 0;
  double value = 0;
};

/// Calls visit(values, start, size) over all elements of a data set of numbers, as boxes [start, start +
/// size) of a few MiB: each chunk is decoded once and no sample has to fit into memory, only a chunk. The
/// boxes come in the order of the chunks, which need not be that of the samples. Boxes of chunks that were
/// never written are left out, and returned. Throws Error(data) as reading does, and for more chunks than can
/// be looked up.
Unwritten walk_values(
    const Dataset& dataset,
    const std::function<void(std::span<const double> values, const std::vector<hsize_t>& start,
                             const std::vector<hsize_t>& size)>& visit);

}  // namespace lockstep::hdf5
