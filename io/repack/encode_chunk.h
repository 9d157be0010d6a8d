#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace lockstep {

/// The stored form of a chunk of elements of `element_bytes`: HDF5's shuffle filter, then deflate at this
/// level, 1 to 9.
std::vector<std::byte> encode_chunk(std::span<const std::byte> values, size_t element_bytes, int level);

}  // namespace lockstep
