#include "io/hdf5/box.h"

#include <cstring>

namespace lockstep::hdf5 {

namespace {

/// Calls visit(offset in the first array, offset in the second, elements) for each run of elements that is
/// contiguous in both.
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

}  // namespace

void copy_box(const std::byte* from, const Box& source, std::byte* to, const Box& target,
              const std::vector<hsize_t>& size, size_t bytes) {
  for_each_run(source, target, size, [=](hsize_t first, hsize_t second, hsize_t run) {
    std::memcpy(to + second * bytes, from + first * bytes, run * bytes);
  });
}

void fill_box(const std::byte* value, std::byte* to, const Box& target, const std::vector<hsize_t>& size,
              size_t bytes) {
  for_each_run(target, target, size, [=](hsize_t first, hsize_t, hsize_t run) {
    for (hsize_t i = 0; i < run; ++i) std::memcpy(to + (first + i) * bytes, value, bytes);
  });
}

}  // namespace lockstep::hdf5
