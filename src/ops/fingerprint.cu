#include "src/ops/fingerprint.h"

#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kThreads = 256;
/// Threads that share a block of floats, four each.
constexpr int kLanes = kFlatBlock / 4;
static_assert(2 * kLanes == 32, "a warp takes two blocks");

__device__ uint64_t word_of(float value) { return isnan(value) ? kFingerprintNaN : __float_as_uint(value); }

__global__ void fingerprint_kernel(const float4* values, int64_t fours, int64_t first_block,
                                   unsigned long long* sum) {
  wait_for_previous_kernel();
  __shared__ uint64_t shared[kThreads / 32];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  uint64_t factor[4];
  for (int i = 0; i < 4; ++i) factor[i] = fingerprint_factor(4 * lane + i);

  uint64_t total = 0;
  const int64_t blocks = (fours + kLanes - 1) / kLanes;
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kLanes;
  const int64_t stride = int64_t{gridDim.x} * (kThreads / kLanes);
  // `first` without its last bits is the same in a warp, so all its threads make the same rounds and can
  // shuffle.
  for (int64_t pair = first / 2 * 2; pair < blocks; pair += stride) {
    const int64_t block = pair + first % 2;
    uint64_t weighted = 0;
    if (block * kLanes + lane < fours) {
      const float4 v = values[block * kLanes + lane];
      weighted = word_of(v.x) * factor[0] + word_of(v.y) * factor[1] + word_of(v.z) * factor[2] +
                 word_of(v.w) * factor[3];
    }
    for (int offset = kLanes / 2; offset > 0; offset /= 2)
      weighted += __shfl_xor_sync(0xffffffffu, weighted, offset);
    if (lane == 0 && block < blocks) total += fingerprint_word(weighted, first_block + block);
  }
  total = block_reduce(total, Sum{}, shared);
  if (threadIdx.x == 0) atomicAdd(sum, total);
}

__global__ void cut_fingerprint_kernel(const uint64_t* sum, float* pieces) {
  wait_for_previous_kernel();
  const unsigned i = threadIdx.x;
  if (2 * i >= kFingerprintFloats) return;
  const unsigned piece = static_cast<unsigned>(*sum >> (6 * i)) % 64;
  pieces[2 * i] = static_cast<float>(piece);
  pieces[2 * i + 1] = static_cast<float>(piece * piece);
}

}  // namespace

void add_fingerprint(Exec exec, std::span<const float> values, int64_t first_block, uint64_t* sum) {
  const int64_t fours = static_cast<int64_t>(values.size()) / 4;
  launch(fingerprint_kernel, blocks_for(fours, kThreads), kThreads, 0, compute_stream(exec),
         reinterpret_cast<const float4*>(values.data()), fours, first_block,
         reinterpret_cast<unsigned long long*>(sum));
}

void cut_fingerprint(Exec exec, const uint64_t* sum, float* pieces) {
  launch(cut_fingerprint_kernel, 1, 32, 0, compute_stream(exec), sum, pieces);
}

}  // namespace lockstep::cuda
