#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "comm/reduce/gradient_reducer.h"
#include "src/core/thread_pool.h"
#include "tests/support/gradient_tree.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

using test::Guarded;

constexpr size_t kElements = 20000;

/// The gradient of a global batch of `count` micro-batches, each rank computing its own consecutive share.
std::vector<float> reduce(Exec exec, World& world, bool reproducible, int count, int lanes) {
  const auto communicator = make_communicator(world, exec, {.reproducible = reproducible});
  const int share = count / world.size();
  const Guarded<float> total(exec, {kElements});
  GradientReducer reducer(exec, *communicator, total.span(),
                          {{0, 1}, {1, 4999}, {5000, 12000}, {17000, 3000}}, share, lanes);
  ThreadPool pool(lanes);
  for (int step = 0; step < 2; ++step) {  // the second over the remains of the first
    std::atomic<int> next = 0;
    reducer.begin();
    pool.run([&](int) {
      for (int m = next++; m < share; m = next++) {
        const std::vector<float> gradient = made_up_gradient(world.rank() * share + m, kElements);
        const std::span<float> leaf = reducer.leaf(m);
        for (int b = 0; b < 4; ++b) {
          const Bucket& bucket = reducer.buckets()[static_cast<size_t>(b)];
          copy(exec, leaf.data() + bucket.offset, gradient.data() + bucket.offset,
               static_cast<size_t>(bucket.size) * sizeof(float));
          reducer.bucket_ready(exec, m, b);
        }
      }
    });
    reducer.finish(exec);
  }
  return total.values();
}

std::vector<std::vector<float>> all_gradients(int count) {
  std::vector<std::vector<float>> leaves;
  for (int m = 0; m < count; ++m) leaves.push_back(made_up_gradient(m, kElements));
  return leaves;
}

class MpiGradientReducer : public MpiBackendTest {};
INSTANTIATE_FOR_BACKENDS(MpiGradientReducer);

// The oracle knows nothing of ranks, so equal bits here mean equal bits on any number of them.
TEST_P(MpiGradientReducer, SameBitsOnAnyNumberOfRanksAndLanes) {
  for (const int count : {4, 8, 12, 16, 20}) {
    const std::vector<float> expected = oracle_tree_sum(all_gradients(count));
    for (const int lanes : {1, 2}) {
      if (exec().on_cuda() && lanes > 1) continue;  // a GPU has one
      const std::vector<float> total = reduce(exec(), world, true, count, lanes);
      EXPECT_TRUE(same_bits(total, expected)) << count << " micro-batches, " << lanes << " lanes";
    }
  }
}

TEST_P(MpiGradientReducer, DefaultModeIsCloseToIt) {
  const int count = 12;
  const auto gradients = all_gradients(count);
  const std::vector<float> total = reduce(exec(), world, false, count, exec().on_cuda() ? 1 : 2);
  for (size_t i = 0; i < kElements; ++i) {
    double exact = 0, magnitude = 0;
    for (const std::vector<float>& gradient : gradients) {
      exact += gradient[i];
      magnitude += std::abs(gradient[i]);
    }
    ASSERT_NEAR(total[i], exact, 0x1p-23 * count * magnitude) << i;
  }
}

}  // namespace
}  // namespace lockstep
