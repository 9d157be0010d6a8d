#include "src/device/kernels/last_block.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/device/device.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/device/replay.h"
#include "tests/support/on_gpu.h"

namespace lockstep {
namespace {

/// The last block adds what the threads of all blocks have written. times: counts the last blocks.
__global__ void total_kernel(const int* step, int* written, int* total, int* times, unsigned* counter) {
  wait_for_previous_kernel();
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  const unsigned threads = blockDim.x * blockDim.y, blocks = gridDim.x * gridDim.y * gridDim.z;
  written[block * threads + thread] = *step;
  if (!cuda::is_last_block(counter)) return;
  int sum = 0;
  for (unsigned i = 0; i < blocks; ++i) sum += written[i * threads + thread];
  atomicAdd(total, sum);
  if (thread == 0) atomicAdd(times, 1);
}

TEST(LastBlock, SeesWhatAllHaveWrittenInEachReplay) {
  const Device device(0);
  const Exec exec = device.exec();
  const dim3 grids[] = {1, 7, dim3(2, 3, 4)};
  const dim3 threads(8, 5);
  const OnGpu<int> written(24 * 40, 0), total(1, 0), times(1, 0);
  const OnGpu<int> step(1, 1);
  CHECK(cudaDeviceSynchronize());
  // Grids of several sizes share the counter.
  Replay replay(exec, true, [&] {
    for (const dim3 grid : grids)
      launch(total_kernel, grid, threads, 0, compute_stream(exec), step.get(), written.get(), total.get(),
             times.get(), block_counter(exec));
  });
  for (int run = 1; run <= 4; ++run) {
    replay.run();
    synchronize(exec);
    EXPECT_EQ(times.values()[0], 3 * run);
    EXPECT_EQ(total.values()[0], run * 40 * (1 + 7 + 24));
  }
}

}  // namespace
}  // namespace lockstep
