#ifdef LOCKSTEP_EMULATED_CUDA  // it has a kernel
#include <gtest/gtest.h>

#include <vector>

#include "src/device/kernels/previous_kernel.h"
#include "src/ops/loss/loss_kernels.h"
#include "tests/support/backend.h"

namespace lockstep::test {
namespace {

/// Block b's sums are the three values from 3 b on.
__global__ void loss_total_kernel(const float* values, cuda::LossTotal total) {
  wait_for_previous_kernel();
  __shared__ cuda::LossShared shared;
  const float* const own = values + 3 * blockIdx.x;
  total.add({double{own[0]}, double{own[1]}, double{own[2]}}, shared);
}

class LossTotals : public BackendTest {};
INSTANTIATE_TEST_SUITE_P(Cuda, LossTotals, testing::Values(Backend::cuda));

TEST_P(LossTotals, AreOfAllBlocksWithTheSameBitsForAnyNumberOfThreads) {
  // The emulator lets losses have three blocks only.
  for (const unsigned blocks : {1, 2, 31, 33, 255, 300, 512}) {
    const std::vector<float> values = random_values(3 * blocks, 4, 0, 1e5f);
    double expected[3] = {};
    for (size_t i = 0; i < values.size(); ++i) expected[i % 3] += double{values[i]};
    const Guarded<float> on_gpu(exec(), {3 * blocks}, values);
    std::vector<std::vector<float>> found;
    for (const unsigned threads : {32, 64, 256}) {
      const Guarded<float> metrics(exec(), {3});
      launch(loss_total_kernel, blocks, threads, 0, compute_stream(exec()), on_gpu.span().data(),
             cuda::LossTotal(exec(), metrics));
      found.push_back(metrics.values());
      EXPECT_EQ(found.back(), found.front()) << blocks << " blocks of " << threads;
    }
    for (size_t i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(found[0][i], static_cast<float>(expected[i])) << blocks;
  }
}

}  // namespace
}  // namespace lockstep::test
#endif
