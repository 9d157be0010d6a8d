#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::hdf5 {

class Dataset;

/// Bytes of one decoded chunk. Throws Error(data) for more than HDF5 allows.
size_t chunk_bytes(const Dataset& dataset);

/// Bytes of the chunk at `offset` in the file, by its index; 0 if it was never written. Throws Error(data)
/// that begins with `where` if the index is damaged.
hsize_t stored_chunk_bytes(hid_t dataset, const std::vector<hsize_t>& offset, const std::string& where);

/// Reads the stored bytes of a chunk into `out`, whose size is at least that given by the index. The caller
/// holds the Lock. False if libhdf5 fails: see last_error().
bool read_stored_chunk(hid_t dataset, const std::vector<hsize_t>& offset, uint32_t& skipped, std::byte* out,
                       size_t bytes);

}  // namespace lockstep::hdf5
