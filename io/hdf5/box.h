#pragma once

#include <hdf5.h>

#include <cstddef>
#include <vector>

namespace lockstep::hdf5 {

/// A box of elements inside an array in row-major order.
struct Box {
  std::vector<hsize_t> extents;  ///< of the whole array
  std::vector<hsize_t> start;    ///< of the box in it, along each axis
};

/// Copies a box of `size` elements (of `bytes` each) from one array to another. The arrays do not overlap.
void copy_box(const std::byte* from, const Box& source, std::byte* to, const Box& target,
              const std::vector<hsize_t>& size, size_t bytes);

/// Sets each element of a box to the same value.
void fill_box(const std::byte* value, std::byte* to, const Box& target, const std::vector<hsize_t>& size,
              size_t bytes);

}  // namespace lockstep::hdf5
