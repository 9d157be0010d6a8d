#include "src/device/kernels/launch.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/device/cuda_context.h"
#include "src/device/elementwise.h"
#include "src/device/replay.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

class EarlyLaunch : public testing::Test {
 protected:
  void SetUp() override { test::use_backend(Backend::cuda, exec, 0, 1); }
  cudaStream_t compute() const { return exec.cuda->compute_stream(); }
  cudaStream_t communication() const { return exec.cuda->communication_stream(); }

  Exec exec;
};

TEST_F(EarlyLaunch, CapturedKernelsThatMayStartEarlySeeWhatWasBeforeThem) {
  constexpr int64_t kFloats = 1000;
  constexpr int kRounds = 20, kReplays = 4;
  constexpr size_t kBytes = kFloats * sizeof(float);
  const Buffer sum(exec, Memory::device, kBytes), one(exec, Memory::device, kBytes);
  const Buffer copied(exec, Memory::device, kBytes);
  test::to_backend(exec, one.as<float>(), std::vector<float>(kFloats, 1));
  const auto add = [&](cudaStream_t stream, const Buffer& to, const Buffer& from) {
    cuda::add_in_place(stream, to.as<float>().data(), from.as<float>().data(), kFloats);
  };
  // After a kernel, a copy, the events of another stream, and a kernel of that.
  Replay replay(exec, true, [&] {
    for (int round = 0; round < kRounds; ++round) {
      add(compute(), sum, one);
      add(compute(), sum, one);
      copy(exec, copied.data(), sum.data(), kBytes);
      add(compute(), copied, one);
      exec.cuda->order(compute(), communication());
      add(communication(), copied, one);
      add(compute(), sum, one);
      exec.cuda->order(communication(), compute());
      add(compute(), sum, copied);
      fill_zero(exec, copied.data(), kBytes);
    }
  });
  float expected = 0;
  for (int i = 0; i < kReplays; ++i) {
    fill_zero(exec, sum.data(), kBytes);
    replay.run();
    expected = 0;
    for (int round = 0; round < kRounds; ++round) expected = (expected + 3) + (expected + 2 + 2);
    // 2^24 is where floats end to count by one.
    ASSERT_LT(expected, 1 << 24);
    EXPECT_EQ(test::from_backend(exec, sum.as<float>()), std::vector<float>(kFloats, expected));
  }
}

#ifdef LOCKSTEP_EMULATED_CUDA

TEST_F(EarlyLaunch, AKernelMayStartEarlyAfterOneCapturedKernel) {
  const Buffer values(exec, Memory::device, 8 * sizeof(float));
  float* const x = values.as<float>().data();
  const auto kernel = [&](cudaStream_t stream) { cuda::copy_few(stream, x, x + 4, 4); };
  kernel(compute());
  EXPECT_FALSE(may_start_early(compute())) << "not captured";
  CHECK(cudaStreamBeginCapture(compute(), cudaStreamCaptureModeThreadLocal));
  EXPECT_FALSE(may_start_early(compute())) << "after nothing";
  kernel(compute());
  EXPECT_TRUE(may_start_early(compute()));
  exec.cuda->order(compute(), communication());
  EXPECT_TRUE(may_start_early(communication()));
  kernel(communication());
  kernel(compute());
  exec.cuda->order(communication(), compute());
  EXPECT_FALSE(may_start_early(compute())) << "after two kernels";
  kernel(compute());
  EXPECT_TRUE(may_start_early(compute()));
  fill_zero(exec, x, sizeof(float));
  EXPECT_FALSE(may_start_early(compute())) << "after something else";
  Handle<cudaGraph_t, cudaGraphDestroy> graph;
  CHECK(cudaStreamEndCapture(compute(), graph.out()));
}

#endif

}  // namespace
}  // namespace lockstep
