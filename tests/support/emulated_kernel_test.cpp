// Tests of the emulator itself: that kernels mean on it what they mean on a GPU, and that mistakes are found.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <set>
#include <vector>

#include "src/device/handle.h"
#include "src/device/launch.h"
#include "tests/support/emulator/error.h"

namespace lockstep {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

/// Memory of the emulated GPU, filled and read by copies.
template <typename T>
class OnGpu {
 public:
  explicit OnGpu(std::vector<T> values) : count_(values.size()) {
    CHECK(cudaStreamCreateWithPriority(stream_.out(), cudaStreamNonBlocking, 0));
    CHECK(cudaMalloc(memory_.out(), count_ * sizeof(T)));
    CHECK(cudaMemcpyAsync(memory_.get(), values.data(), count_ * sizeof(T), cudaMemcpyDefault, stream()));
  }
  OnGpu(size_t count, T value) : OnGpu(std::vector<T>(count, value)) {}
  ~OnGpu() { emulator::forget_failed_work(); }

  cudaStream_t stream() const { return stream_.get(); }
  T* get() const { return static_cast<T*>(memory_.get()); }
  /// After all kernels on stream().
  std::vector<T> values() const {
    std::vector<T> result(count_);
    CHECK(cudaMemcpyAsync(result.data(), memory_.get(), count_ * sizeof(T), cudaMemcpyDefault, stream()));
    return result;
  }

 private:
  size_t count_;
  Handle<cudaStream_t, cudaStreamDestroy> stream_;
  Handle<void*, cudaFree> memory_;
};

/// What is said of a kernel that fails, by its launch or by what waits for it.
template <typename... Params, typename... Args>
std::string failure(void (*kernel)(Params...), unsigned threads, const OnGpu<int>& memory, Args... args) {
  try {
    launch(kernel, 1, threads, 0, memory.stream(), memory.get(), args...);
    CHECK(cudaStreamSynchronize(memory.stream()));
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

std::vector<int> count_up(size_t n) {
  std::vector<int> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

__global__ void index_kernel(int* out) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[i] = static_cast<int>(i);
}

TEST(EmulatedKernel, RunsEveryThreadOfEveryBlockOnce) {
  const OnGpu<int> out(2 * 3 * 4 * 5 * 6 * 7, -1);
  launch(index_kernel, dim3(2, 3, 4), dim3(5, 6, 7), 0, out.stream(), out.get());
  EXPECT_THAT(out.values(), ElementsAreArray(count_up(2 * 3 * 4 * 5 * 6 * 7)));
}

__global__ void order_kernel(int* next, int* order) {
  order[atomicAdd(next, 1)] = static_cast<int>(threadIdx.x);
}

TEST(EmulatedKernel, ShufflesTheOrderOfThreads) {
  std::set<std::vector<int>> orders;
  for (int i = 0; i < 3; ++i) {
    const OnGpu<int> memory(65, 0);
    launch(order_kernel, 1, 64, 0, memory.stream(), memory.get(), memory.get() + 1);
    std::vector<int> order = memory.values();
    order.erase(order.begin());
    EXPECT_TRUE(orders.insert(order).second);
    std::sort(order.begin(), order.end());
    EXPECT_THAT(order, ElementsAreArray(count_up(64)));
  }
}

constexpr int kThreads = 96;

template <bool kBarrier>
__global__ void reverse_kernel(int* values) {
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = values[threadIdx.x];
  if (kBarrier) __syncthreads();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

__global__ void dynamic_reverse_kernel(int* values) {
  int* const shared = dynamic_shared<int>();
  shared[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

std::vector<int> count_down(size_t n) {
  std::vector<int> values = count_up(n);
  std::reverse(values.begin(), values.end());
  return values;
}

TEST(EmulatedKernel, BarriersOrderAccessesToSharedMemory) {
  for (int i = 0; i < 10; ++i) {
    const OnGpu<int> fixed(count_up(kThreads)), dynamic(count_up(kThreads));
    launch(reverse_kernel<true>, 1, kThreads, 0, fixed.stream(), fixed.get());
    launch(dynamic_reverse_kernel, 1, kThreads, kThreads * sizeof(int), dynamic.stream(), dynamic.get());
    EXPECT_THAT(fixed.values(), ElementsAreArray(count_down(kThreads)));
    EXPECT_THAT(dynamic.values(), ElementsAreArray(count_down(kThreads)));
  }
}

/// Two rounds over one array: without the second barrier, a thread may overwrite what another has yet to
/// read.
template <bool kSecondBarrier>
__global__ void rotate_twice_kernel(int* values) {
  __shared__ int shared[kThreads];
  int value = values[threadIdx.x];
  for (int round = 0; round < 2; ++round) {
    if (kSecondBarrier) __syncthreads();
    shared[threadIdx.x] = __shfl_sync(0xffffffffu, value, static_cast<int>(threadIdx.x % 32));
    __syncthreads();
    value = shared[(threadIdx.x + 32) % kThreads];
  }
  values[threadIdx.x] = value;
}

/// How many of ten runs of a kernel that should rotate by two warps do.
int right_rotations(void (*kernel)(int*)) {
  int right = 0;
  for (int i = 0; i < 10; ++i) {
    const OnGpu<int> values(count_up(kThreads));
    launch(kernel, 1, kThreads, 0, values.stream(), values.get());
    std::vector<int> rotated = count_up(kThreads);
    std::rotate(rotated.begin(), rotated.begin() + 64, rotated.end());
    right += values.values() == rotated ? 1 : 0;
  }
  return right;
}

TEST(EmulatedKernel, WarpsGetFarAheadOfEachOther) {
  EXPECT_EQ(right_rotations(rotate_twice_kernel<true>), 10);
}

#if !defined(__SANITIZE_THREAD__)

TEST(EmulatedKernel, AMissingBarrierBeforeAnOverwriteGivesAWrongResult) {
  EXPECT_LT(right_rotations(rotate_twice_kernel<false>), 10);
}

TEST(EmulatedKernel, AMissingBarrierGivesAWrongResult) {
  for (int i = 0; i < 10; ++i) {
    const OnGpu<int> values(count_up(kThreads));
    launch(reverse_kernel<false>, 1, kThreads, 0, values.stream(), values.get());
    EXPECT_NE(values.values(), count_down(kThreads)) << "though an earlier block has left the right values";
  }
}

#endif

__global__ void diverging_kernel(int* values) {
  if (threadIdx.x % 2 == 0)
    __syncthreads();  // LINE_OF_THE_EVEN
  else
    __syncthreads();
  values[threadIdx.x] = 0;
}
constexpr int kLineOfTheEven = __LINE__ - 5;

TEST(EmulatedKernel, DivergenceAtABarrierIsAnErrorThatNamesTheLines) {
  const OnGpu<int> memory(32, 0);
  const std::string what = failure(diverging_kernel, 32, memory);
  EXPECT_THAT(what, HasSubstr("diverging_kernel"));
  EXPECT_THAT(what, HasSubstr("the threads have diverged"));
  EXPECT_THAT(what, HasSubstr("emulated_kernel_test.cpp:" + std::to_string(kLineOfTheEven)));
  EXPECT_THAT(what, HasSubstr("emulated_kernel_test.cpp:" + std::to_string(kLineOfTheEven + 2)));
}

__global__ void leaving_kernel(int* values, int n) {
  if (threadIdx.x >= static_cast<unsigned>(n)) return;
  __syncthreads();
  values[threadIdx.x] = 0;
}

TEST(EmulatedKernel, AThreadThatLeavesBeforeABarrierIsAnError) {
  const OnGpu<int> memory(64, 0);
  EXPECT_THAT(failure(leaving_kernel, 64, memory, 63), HasSubstr("thread (63, 0, 0) has returned"));
}

TEST(EmulatedKernel, AFailedKernelStaysTheErrorOfLaterCalls) {
  const OnGpu<int> memory(64, 0);
  EXPECT_NE(failure(leaving_kernel, 64, memory, 63), "no failure");
  EXPECT_EQ(cudaStreamSynchronize(memory.stream()), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 1), cudaErrorLaunchFailure);
}

__global__ void shuffles_kernel(int* out) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  int* const row = out + threadIdx.x * 8;
  const int value = 100 * warp + lane;
  row[0] = __shfl_sync(0xffffffffu, value, 5);
  row[1] = __shfl_up_sync(0xffffffffu, value, 3);
  row[2] = __shfl_down_sync(0xffffffffu, value, 3);
  row[3] = __shfl_xor_sync(0xffffffffu, value, 16);
  row[4] = __shfl_sync(0xffffffffu, value, 9, 8);
  row[5] = static_cast<int>(__ballot_sync(0xffffffffu, lane == 4));
  row[6] = __any_sync(0xffffffffu, lane == 40) ? 1 : 0;
  row[7] = __all_sync(0xffffffffu, lane < 32) ? 1 : 0;
  __syncwarp();
}

TEST(EmulatedKernel, WarpFunctionsExchangeAmongTheLanesOfAWarp) {
  const OnGpu<int> memory(64 * 8, -1);
  launch(shuffles_kernel, 1, 64, 0, memory.stream(), memory.get());
  const std::vector<int> out = memory.values();
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32, first = 100 * (thread / 32);
    const std::vector<int> row(out.begin() + thread * 8, out.begin() + thread * 8 + 8);
    const std::vector<int> expected = {first + 5,
                                       first + (lane < 3 ? lane : lane - 3),
                                       first + (lane > 28 ? lane : lane + 3),
                                       first + (lane ^ 16),
                                       first + lane / 8 * 8 + 1,
                                       16,
                                       0,
                                       1};
    EXPECT_EQ(row, expected) << "thread " << thread;
  }
}

__global__ void half_warp_kernel(double* out) {
  if (threadIdx.x >= 16) return;
  double value = threadIdx.x;
  for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffu, value, offset);
  out[threadIdx.x] = value;
}

TEST(EmulatedKernel, AMaskNamesTheLanesThatExchange) {
  const OnGpu<double> memory(16, 0.0);
  launch(half_warp_kernel, 1, 32, 0, memory.stream(), memory.get());
  EXPECT_THAT(memory.values(), Each(120.0));
}

__global__ void lane_gone_kernel(int* out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 7);
}

TEST(EmulatedKernel, ToReadFromALaneThatIsGoneIsAnError) {
  const OnGpu<int> memory(32, 0);
  EXPECT_THAT(failure(lane_gone_kernel, 32, memory), HasSubstr("lane 7"));
}

__global__ void lane_elsewhere_kernel(int* out) {
  if (threadIdx.x == 7) __syncthreads();
  out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
}

TEST(EmulatedKernel, ALaneThatWaitsElsewhereIsAnError) {
  const OnGpu<int> memory(32, 0);
  EXPECT_THAT(failure(lane_elsewhere_kernel, 32, memory), HasSubstr("diverged"));
}

__global__ void atomics_kernel(int* integers, float* sum, unsigned* largest) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(integers, i);
  atomicMax(integers + 1, i);
  atomicMin(integers + 2, -i);
  atomicAdd(sum, 0.5f);
  atomicCAS(largest, 0u, 17u);
}

TEST(EmulatedKernel, AtomicsMissNothing) {
  const OnGpu<int> integers(3, 0);
  const OnGpu<float> sum(1, 0.0f);
  const OnGpu<unsigned> flag(1, 0u);
  CHECK(cudaDeviceSynchronize());
  launch(atomics_kernel, 4, 50, 0, integers.stream(), integers.get(), sum.get(), flag.get());
  EXPECT_THAT(integers.values(), ElementsAreArray({199 * 100, 199, -199}));
  EXPECT_EQ(sum.values()[0], 100.0f);
  EXPECT_EQ(flag.values()[0], 17u);
}

TEST(EmulatedKernel, SmallFloatsRoundToNearestEven) {
  const auto half = [](float value) { return __half2float(__float2half(value)); };
  const auto bfloat = [](float value) { return __bfloat162float(__float2bfloat16(value)); };
  EXPECT_EQ(half(1.0f / 3), 0.333251953125f);
  EXPECT_EQ(half(2049.0f), 2048.0f);
  EXPECT_EQ(half(2051.0f), 2052.0f);
  EXPECT_EQ(half(65519.0f), 65504.0f);
  EXPECT_EQ(half(65520.0f), INFINITY);
  EXPECT_EQ(half(std::ldexp(3.0f, -25)), std::ldexp(2.0f, -24));
  EXPECT_EQ(half(-0.0f), 0.0f);
  EXPECT_TRUE(std::signbit(half(-0.0f)));
  EXPECT_TRUE(std::isnan(half(NAN)));
  EXPECT_EQ(bfloat(1.0f / 3), 0.333984375f);
  EXPECT_EQ(bfloat(257.0f), 256.0f);
  EXPECT_EQ(bfloat(259.0f), 260.0f);
  EXPECT_EQ(bfloat(3.0e38f), std::ldexp(226.0f, 120));
  EXPECT_EQ(bfloat(-INFINITY), -INFINITY);
  EXPECT_EQ(__half2float(__float2half(1.0f) + __float2half(0.0004f)), 1.0f);
}

__global__ void nothing_kernel(int*) {}

TEST(EmulatedKernel, RefusesWhatNoGpuCanLaunch) {
  const OnGpu<int> memory(1, 0);
  const auto refused = [&](dim3 grid, dim3 block, size_t shared) {
    try {
      launch(nothing_kernel, grid, block, shared, memory.stream(), memory.get());
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("invalid configuration argument"));
      EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refused(1, 1025, 0));
  EXPECT_TRUE(refused(0, 32, 0));
  EXPECT_TRUE(refused(dim3(1, 65536), 32, 0));
  EXPECT_TRUE(refused(1, dim3(1, 1, 65), 0));
  EXPECT_TRUE(refused(1, 32, 49153));
  EXPECT_FALSE(refused(1, 1024, 49152));
  CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(nothing_kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10));
  EXPECT_FALSE(refused(1, 1024, 100 << 10));
}

#if defined(__SANITIZE_THREAD__)

TEST(EmulatedKernelDeath, AMissingBarrierIsARace) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // after a fork, this sanitizer is silent
  const auto run = [](void (*kernel)(int*)) {
    const OnGpu<int> values(count_up(kThreads));
    launch(kernel, 1, kThreads, 0, values.stream(), values.get());
    CHECK(cudaStreamSynchronize(values.stream()));
    std::_Exit(0);
  };
  EXPECT_EXIT(run(reverse_kernel<true>), testing::ExitedWithCode(0), "^$");
  EXPECT_EXIT(run(reverse_kernel<false>), testing::ExitedWithCode(0),
              "data race(.|\n)*reverse_kernel<false>");
}

#endif

#if defined(__SANITIZE_ADDRESS__)

__global__ void off_by_one_kernel(float* values, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i <= n) values[i] = 1.0f;
}

TEST(EmulatedKernelDeath, AnIndexOffByOneIsFound) {
  const OnGpu<float> memory(100, 0.0f);
  const auto run = [&] {
    launch(off_by_one_kernel, 4, 32, 0, memory.stream(), memory.get(), 100);
    CHECK(cudaStreamSynchronize(memory.stream()));
  };
  EXPECT_DEATH(run(), "heap-buffer-overflow(.|\n)*off_by_one_kernel");
}

/// Out of the compiler's sight, or UndefinedBehaviorSanitizer would find the mistake first.
[[gnu::noipa]] int* address_of(int* array, unsigned i) { return array + i; }

__global__ void shared_overflow_kernel(int* values) {
  __shared__ int shared[31];
  *address_of(shared, threadIdx.x) = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x / 2];
}

template <int kSize>
__global__ void shared_overflow_template_kernel(int* values) {
  __shared__ int shared[kSize];
  *address_of(shared, threadIdx.x) = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x / 2];
}

TEST(EmulatedKernelDeath, AnOverflowOfSharedMemoryIsFound) {
  const OnGpu<int> memory(32, 0);
  const auto run = [&](void (*kernel)(int*), size_t shared_bytes) {
    launch(kernel, 1, 32, shared_bytes, memory.stream(), memory.get());
    CHECK(cudaStreamSynchronize(memory.stream()));
  };
  EXPECT_DEATH(run(shared_overflow_kernel, 0), "global-buffer-overflow(.|\n)*shared_overflow_kernel");
  EXPECT_DEATH(run(shared_overflow_template_kernel<31>, 0), "global-buffer-overflow");
  EXPECT_DEATH(run(dynamic_reverse_kernel, 31 * sizeof(int)), "heap-buffer-overflow");
}

__global__ void vector_kernel(const float* x, float4* y) {
  y[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
}

TEST(EmulatedKernelDeath, AVectorLoadFromAnAddressThatIsNoMultipleOfItsSizeIsFound) {
  const OnGpu<float> x(9, 0.0f);
  const OnGpu<float4> y(2, float4{});
  const auto run = [&](const float* from) {
    launch(vector_kernel, 1, 2, 0, y.stream(), from, y.get());
    CHECK(cudaStreamSynchronize(y.stream()));
  };
  CHECK(cudaStreamSynchronize(x.stream()));
  run(x.get());
  EXPECT_DEATH(run(x.get() + 1), "misaligned address(.|\n)*which requires 16 byte alignment");
}

TEST(EmulatedKernelDeath, CodeOnTheHostThatTouchesMemoryOfTheGpuIsFound) {
  const OnGpu<int> memory(32, 0);
  EXPECT_DEATH(memory.get()[3] = 1, "use-after-poison");
}

#endif

}  // namespace
}  // namespace lockstep
