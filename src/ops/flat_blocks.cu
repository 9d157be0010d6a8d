#include "src/ops/flat_blocks.h"

#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kThreads = 256;
/// Each block is copied by this many threads, four floats each.
constexpr int kLanes = kFlatBlock / 4;

template <bool kTakes>
__global__ void flat_blocks_kernel(const float4* source, const int32_t* numbers, int64_t count,
                                   float4* destination) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count * kLanes; i += stride) {
    const int32_t number = numbers[i / kLanes];
    if (number < 0) continue;
    const int64_t flat = int64_t{number} * kLanes + i % kLanes;
    if (kTakes)
      destination[i] = source[flat];
    else
      destination[flat] = source[i];
  }
}

template <bool kTakes>
void copy_blocks(Exec exec, const float* source, std::span<const int32_t> numbers, float* destination) {
  const auto count = static_cast<int64_t>(numbers.size());
  launch(flat_blocks_kernel<kTakes>, blocks_for(count * kLanes, kThreads), kThreads, 0, compute_stream(exec),
         reinterpret_cast<const float4*>(source), numbers.data(), count,
         reinterpret_cast<float4*>(destination));
}

}  // namespace

void take_blocks(Exec exec, std::span<const float> flat, std::span<const int32_t> numbers,
                 std::span<float> packed) {
  copy_blocks<true>(exec, flat.data(), numbers, packed.data());
}

void put_blocks(Exec exec, std::span<const float> packed, std::span<const int32_t> numbers,
                std::span<float> flat) {
  copy_blocks<false>(exec, packed.data(), numbers, flat.data());
}

}  // namespace lockstep::cuda
