#include "src/ops/flat_blocks.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace {

void check(std::span<const float> flat, std::span<const int32_t> numbers, std::span<const float> packed) {
  INVARIANT(flat.size() % kFlatBlock == 0 && packed.size() == numbers.size() * kFlatBlock,
            "{} floats packed in {} for {} blocks", flat.size(), packed.size(), numbers.size());
}

/// Calls visit(place in the packed buffer, place in the flat one) for each block.
template <typename Visit>
void for_each_block(std::span<const int32_t> numbers, const Visit& visit) {
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] >= 0) visit(i * kFlatBlock, static_cast<size_t>(numbers[i]) * kFlatBlock);
}

}  // namespace

void take_blocks(Exec exec, std::span<const float> flat, std::span<const int32_t> numbers,
                 std::span<float> packed) {
  check(flat, numbers, packed);
  if (numbers.empty()) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::take_blocks(exec, flat, numbers, packed);
  }
  for_each_block(numbers, [&](size_t place, size_t flat_place) {
    std::copy_n(flat.data() + flat_place, kFlatBlock, packed.data() + place);
  });
}

void put_blocks(Exec exec, std::span<const float> packed, std::span<const int32_t> numbers,
                std::span<float> flat) {
  check(flat, numbers, packed);
  if (numbers.empty()) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::put_blocks(exec, packed, numbers, flat);
  }
  for_each_block(numbers, [&](size_t place, size_t flat_place) {
    std::copy_n(packed.data() + place, kFlatBlock, flat.data() + flat_place);
  });
}

}  // namespace lockstep
