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

/// The position of a box's first element in the array.
hsize_t offset_in(const Box& box);

/// Calls visit(offset in the first array, offset in the second, elements) for each run of elements that is
/// contiguous in both arrays, of a box of `size` that lies in each.
template <typename Visit>
void for_each_run(const Box& a, const Box& b, const std::vector<hsize_t>& size, Visit visit) {
  size_t axes = size.size();
  hsize_t run = 1;
  // If an axis is complete in both, its rows are contiguous.
  while (axes > 0) {
    --axes;
    run *= size[axes];
    if (size[axes] != a.extents[axes] || size[axes] != b.extents[axes]) break;
  }
  std::vector<hsize_t> at(axes, 0);
  for (;;) {
    hsize_t first = 0, second = 0;
    for (size_t axis = 0; axis < size.size(); ++axis) {
      const hsize_t step = axis < axes ? at[axis] : 0;
      first = first * a.extents[axis] + a.start[axis] + step;
      second = second * b.extents[axis] + b.start[axis] + step;
    }
    visit(first, second, run);
    size_t axis = axes;
    while (axis > 0 && ++at[axis - 1] == size[axis - 1]) at[--axis] = 0;
    if (axis == 0) return;
  }
}

/// Whether for_each_run() finds one run.
bool is_one_run(const Box& a, const Box& b, const std::vector<hsize_t>& size);

/// Copies a box of `size` elements (of `bytes` each) from one array to another. The arrays do not overlap.
void copy_box(const std::byte* from, const Box& source, std::byte* to, const Box& target,
              const std::vector<hsize_t>& size, size_t bytes);

/// Sets each element of a box to the same value.
void fill_box(const std::byte* value, std::byte* to, const Box& target, const std::vector<hsize_t>& size,
              size_t bytes);

}  // namespace lockstep::hdf5
