#pragma once

// What the losses' kernels share, for .cu files.
#include "src/device/block_reduce.h"
#include "src/device/launch.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

constexpr int kMaxLossWarps = 8;
constexpr int64_t kMaxLossBlocks = 512;

/// What one block adds to the metrics.
struct LossSums {
  double loss, right, weight;
};

struct LossShared {
  float floats[kMaxLossWarps];
  int ints[kMaxLossWarps];
};

/// One block adds what the others found, always in the same order.
static __global__ void loss_sums_kernel(const LossSums* partial, int64_t count, float* metrics) {
  __shared__ double shared[kMaxLossWarps];
  LossSums sum{0.0, 0.0, 0.0};
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    sum.loss += partial[i].loss;
    sum.right += partial[i].right;
    sum.weight += partial[i].weight;
  }
  sum.loss = block_reduce(sum.loss, Sum{}, shared);
  sum.right = block_reduce(sum.right, Sum{}, shared);
  sum.weight = block_reduce(sum.weight, Sum{}, shared);
  if (threadIdx.x != 0) return;
  metrics[0] = static_cast<float>(sum.loss);
  metrics[1] = static_cast<float>(sum.right);
  metrics[2] = static_cast<float>(sum.weight);
}

/// A warp suffices for a short row.
inline int loss_threads(int64_t columns) { return columns <= 128 ? 32 : 32 * kMaxLossWarps; }

/// Enqueues enqueue(blocks, partial) over the rows and then the sum of their metrics.
template <typename Enqueue>
void with_loss_sums(Exec exec, int64_t rows, Tensor metrics, Enqueue enqueue) {
  LossSums* partial = static_cast<LossSums*>(scratch(exec));
  const unsigned blocks = rows == 0 ? 0 : blocks_for(rows, 1, kMaxLossBlocks);
  if (blocks > 0) enqueue(blocks, partial);
  launch(loss_sums_kernel, 1, 32 * kMaxLossWarps, 0, compute_stream(exec), partial, blocks,
         metrics.data<float>());
}

}  // namespace lockstep::cuda
