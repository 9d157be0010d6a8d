#include "io/hdf5/box.h"

#include <cstring>

namespace lockstep::hdf5 {

hsize_t offset_in(const Box& box) {
  hsize_t offset = 0;
  for (size_t axis = 0; axis < box.start.size(); ++axis)
    offset = offset * box.extents[axis] + box.start[axis];
  return offset;
}

bool is_one_run(const Box& a, const Box& b, const std::vector<hsize_t>& size) {
  size_t axis = size.size();
  while (axis > 0) {
    --axis;
    if (size[axis] != a.extents[axis] || size[axis] != b.extents[axis]) break;
  }
  while (axis > 0) {
    if (size[--axis] != 1) return false;
  }
  return true;
}

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
