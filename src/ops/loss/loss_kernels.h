#pragma once

// What the losses' kernels share, for .cu files.
#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/last_block.h"
#include "src/device/kernels/launch.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

constexpr int kMaxLossWarps = 8;
constexpr int64_t kMaxLossBlocks = 512;

/// What one block adds to the metrics.
struct LossSums {
  double loss, right, weight;

  __device__ void add(const LossSums& other) {
    loss += other.loss;
    right += other.right;
    weight += other.weight;
  }
};

struct LossShared {
  float floats[kMaxLossWarps];
  int ints[kMaxLossWarps];
  LossSums sums[kMaxLossWarps];
};

/// Where a loss's kernel adds up the sums of its blocks.
struct LossTotal {
  LossSums* partial;  ///< one a block
  unsigned* counter;
  float* metrics;

  LossTotal(Exec exec, Tensor metrics_of_loss)
      : partial(static_cast<LossSums*>(scratch(exec))),
        counter(block_counter(exec)),
        metrics(metrics_of_loss.data<float>()) {}

  /// The end of the kernel: the last block writes the metrics. All threads call it, with the sums of their
  /// block. Sums are added in an order that depends only on the number of blocks, not on that of threads:
  /// as by kMaxLossWarps warps, of which a small block takes several in turn.
  __device__ void add(const LossSums& of_block, LossShared& shared) const {
    if (threadIdx.x == 0) partial[blockIdx.x] = of_block;
    if (!is_last_block(counter)) return;
    const int lane = static_cast<int>(threadIdx.x) % 32, warps = static_cast<int>(blockDim.x) / 32;
    for (int warp = static_cast<int>(threadIdx.x) / 32; warp < kMaxLossWarps; warp += warps) {
      LossSums sum{0.0, 0.0, 0.0};
      for (unsigned i = 32 * warp + lane; i < gridDim.x; i += 32 * kMaxLossWarps) sum.add(partial[i]);
      for (int offset = 16; offset > 0; offset /= 2)
        sum.add({__shfl_xor_sync(0xffffffffu, sum.loss, offset),
                 __shfl_xor_sync(0xffffffffu, sum.right, offset),
                 __shfl_xor_sync(0xffffffffu, sum.weight, offset)});
      if (lane == 0) shared.sums[warp] = sum;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    LossSums total = shared.sums[0];
    for (int warp = 1; warp < kMaxLossWarps; ++warp) total.add(shared.sums[warp]);
    metrics[0] = static_cast<float>(total.loss);
    metrics[1] = static_cast<float>(total.right);
    metrics[2] = static_cast<float>(total.weight);
  }
};

/// A block takes a row at a time.
inline unsigned loss_blocks(int64_t rows) { return blocks_for(rows, 1, kMaxLossBlocks); }
/// A warp suffices for a short row.
inline int loss_threads(int64_t columns) { return columns <= 128 ? 32 : 32 * kMaxLossWarps; }

}  // namespace lockstep::cuda
