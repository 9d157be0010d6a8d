#pragma once

// For .cu files.
#include <cuda_runtime.h>

namespace lockstep::cuda {

/// Whether all other blocks of the grid have called this before: the last block then sees what they wrote,
/// and can add up their results without another kernel. All threads of a block call it, once a kernel.
/// counter: block_counter(), which is zero again when the kernel ends, so that a captured kernel can be
/// replayed.
__device__ inline bool is_last_block(unsigned* counter) {
  __syncthreads();  // the fence of one thread covers what all of them wrote
  bool is_last = false;
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    const unsigned last = gridDim.x * gridDim.y * gridDim.z - 1;
    __threadfence();
    is_last = atomicInc(counter, last) == last;
    __threadfence();
  }
  return __syncthreads_or(is_last) != 0;
}

}  // namespace lockstep::cuda
