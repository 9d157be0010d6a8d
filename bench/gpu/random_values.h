#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "src/device/buffer.h"

namespace lockstep {

/// Device memory with `count` values of T in [-1, 1), repeated every million: products of zeros are faster
/// than those of other numbers. Has been written on return.
template <typename T>
Buffer random_values(Exec exec, int64_t count) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> block(static_cast<size_t>(std::min<int64_t>(count, 1000003)));
  for (T& value : block) value = T(uniform(random));
  const size_t bytes = static_cast<size_t>(count) * sizeof(T), block_bytes = block.size() * sizeof(T);
  const Buffer source = upload(exec, block);
  Buffer values(exec, Memory::device, bytes);
  for (size_t offset = 0; offset < bytes; offset += block_bytes)
    copy(exec, values.data() + offset, source.data(), std::min(block_bytes, bytes - offset));
  synchronize(exec);
  return values;
}

}  // namespace lockstep
