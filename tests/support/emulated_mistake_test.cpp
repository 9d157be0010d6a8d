// Tests of the emulator itself: that mistakes in kernels are found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mma.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "tests/support/on_gpu.h"

namespace lockstep {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

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

constexpr int kThreads = 96;

template <bool kBarrier>
__global__ void reverse_kernel(int* values) {
  wait_for_previous_kernel();
  __shared__ int shared[kThreads];
  shared[threadIdx.x] = values[threadIdx.x];
  if (kBarrier) __syncthreads();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

__global__ void dynamic_reverse_kernel(int* values) {
  wait_for_previous_kernel();
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

TEST(EmulatedMistake, BarriersOrderAccessesToSharedMemory) {
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
  wait_for_previous_kernel();
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

TEST(EmulatedMistake, WarpsGetFarAheadOfEachOther) {
  EXPECT_EQ(right_rotations(rotate_twice_kernel<true>), 10);
}

#if !defined(__SANITIZE_THREAD__)

TEST(EmulatedMistake, AMissingBarrierBeforeAnOverwriteGivesAWrongResult) {
  EXPECT_LT(right_rotations(rotate_twice_kernel<false>), 10);
}

TEST(EmulatedMistake, AMissingBarrierGivesAWrongResult) {
  for (int i = 0; i < 10; ++i) {
    const OnGpu<int> values(count_up(kThreads));
    launch(reverse_kernel<false>, 1, kThreads, 0, values.stream(), values.get());
    EXPECT_NE(values.values(), count_down(kThreads)) << "though an earlier block has left the right values";
  }
}

#endif

__global__ void diverging_kernel(int* values) {
  wait_for_previous_kernel();
  if (threadIdx.x % 2 == 0)
    __syncthreads();  // LINE_OF_THE_EVEN
  else
    __syncthreads();
  values[threadIdx.x] = 0;
}
constexpr int kLineOfTheEven = __LINE__ - 5;

TEST(EmulatedMistake, DivergenceAtABarrierIsAnErrorThatNamesTheLines) {
  const OnGpu<int> memory(32, 0);
  const std::string what = failure(diverging_kernel, 32, memory);
  EXPECT_THAT(what, HasSubstr("diverging_kernel"));
  EXPECT_THAT(what, HasSubstr("the threads have diverged"));
  EXPECT_THAT(what, HasSubstr("emulated_mistake_test.cpp:" + std::to_string(kLineOfTheEven)));
  EXPECT_THAT(what, HasSubstr("emulated_mistake_test.cpp:" + std::to_string(kLineOfTheEven + 2)));
}

__global__ void leaving_kernel(int* values, int n) {
  wait_for_previous_kernel();
  if (threadIdx.x >= static_cast<unsigned>(n)) return;
  __syncthreads();
  values[threadIdx.x] = 0;
}

TEST(EmulatedMistake, AThreadThatLeavesBeforeABarrierIsAnError) {
  const OnGpu<int> memory(64, 0);
  EXPECT_THAT(failure(leaving_kernel, 64, memory, 63), HasSubstr("thread (63, 0, 0) has returned"));
}

TEST(EmulatedMistake, AFailedKernelStaysTheErrorOfLaterCalls) {
  const OnGpu<int> memory(64, 0);
  EXPECT_NE(failure(leaving_kernel, 64, memory, 63), "no failure");
  EXPECT_EQ(cudaStreamSynchronize(memory.stream()), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  void* more = nullptr;
  EXPECT_EQ(cudaMalloc(&more, 1), cudaErrorLaunchFailure);
}

/// Thread 40 never waits, or later than it should.
template <bool kBarrier>
__global__ void impatient_kernel(int* values) {
  if (threadIdx.x != 40) wait_for_previous_kernel();
  if (kBarrier) __syncthreads();
  if (kBarrier) wait_for_previous_kernel();
  values[threadIdx.x] = 1;
}

TEST(EmulatedMistake, AThreadThatDoesNotFirstWaitForTheKernelBeforeIsAnError) {
  EXPECT_THAT(failure(impatient_kernel<false>, kThreads, OnGpu<int>(count_up(kThreads))),
              AllOf(HasSubstr("impatient_kernel<false>"), HasSubstr("thread (40, 0, 0) returns before")));
  EXPECT_THAT(failure(impatient_kernel<true>, kThreads, OnGpu<int>(count_up(kThreads))),
              HasSubstr("thread (40, 0, 0) synchronizes with others before"));
}

__global__ void add_one_kernel(int* value) {
  wait_for_previous_kernel();
  ++*value;
}

TEST(EmulatedMistake, ACapturedEarlyLaunchMustComeAfterOneKernel) {
  const OnGpu<int> memory({0});
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  const cudaLaunchConfig_t config{{1}, {1}, 0, memory.stream(), &early, 1};
  const auto launch_early = [&] {
    static_cast<void>(cudaLaunchKernelEx(&config, add_one_kernel, memory.get()));
    return cudaGetLastError();
  };
  CHECK(cudaStreamBeginCapture(memory.stream(), cudaStreamCaptureModeThreadLocal));
  EXPECT_EQ(launch_early(), cudaErrorInvalidValue) << "after nothing";
  CHECK(cudaMemsetAsync(memory.get(), 0, sizeof(int), memory.stream()));
  EXPECT_EQ(launch_early(), cudaErrorInvalidValue) << "after something else";
  launch(add_one_kernel, 1, 1, 0, memory.stream(), memory.get());
  EXPECT_EQ(launch_early(), cudaSuccess);
  Handle<cudaGraph_t, cudaGraphDestroy> graph;
  CHECK(cudaStreamEndCapture(memory.stream(), graph.out()));
}

__global__ void lane_gone_kernel(int* out) {
  wait_for_previous_kernel();
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 7);
}

TEST(EmulatedMistake, ToReadFromALaneThatIsGoneIsAnError) {
  const OnGpu<int> memory(32, 0);
  EXPECT_THAT(failure(lane_gone_kernel, 32, memory), HasSubstr("lane 7"));
}

__global__ void lane_elsewhere_kernel(int* out) {
  wait_for_previous_kernel();
  if (threadIdx.x == 7) __syncthreads();
  out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
}

TEST(EmulatedMistake, ALaneThatWaitsElsewhereIsAnError) {
  const OnGpu<int> memory(32, 0);
  EXPECT_THAT(failure(lane_elsewhere_kernel, 32, memory), HasSubstr("diverged"));
}

/// Loads a matrix from `skip` numbers after an aligned address on; lane 5 from `apart` numbers later.
__global__ void matrix_load_kernel(int* memory, int skip, int apart, unsigned stride) {
  wait_for_previous_kernel();
  nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, __half, nvcuda::wmma::row_major> matrix;
  const __half* const from = reinterpret_cast<const __half*>(memory) + skip;
  nvcuda::wmma::load_matrix_sync(matrix, from + (threadIdx.x == 5 ? apart : 0), stride);
}

TEST(EmulatedMistake, MatricesThatAWarpMayNotLoadAreErrors) {
  const OnGpu<int> memory(32 * 16, 0);
  const auto of = [&](unsigned threads, int skip, int apart, unsigned stride) {
    const std::string what = failure(matrix_load_kernel, threads, memory, skip, apart, stride);
    emulator::forget_failed_work();
    return what;
  };
  EXPECT_EQ(of(32, 16, 0, 24), "no failure");
  EXPECT_THAT(of(32, 8, 0, 24), HasSubstr("an address that is not a multiple of 32 bytes"));
  EXPECT_THAT(of(32, 0, 0, 20), HasSubstr("a leading dimension of 20, which is not a multiple of 8"));
  EXPECT_THAT(of(32, 0, 16, 24), HasSubstr("thread (5, 0, 0) give different matrices to load_matrix_sync"));
  EXPECT_THAT(of(31, 0, 0, 24), HasSubstr("needs all 32 lanes of a warp, but has 31"));
}

#if defined(__SANITIZE_THREAD__)

TEST(EmulatedMistakeDeath, AMissingBarrierIsARace) {
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
  wait_for_previous_kernel();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i <= n) values[i] = 1.0f;
}

TEST(EmulatedMistakeDeath, AnIndexOffByOneIsFound) {
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
  wait_for_previous_kernel();
  __shared__ int shared[31];
  *address_of(shared, threadIdx.x) = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x / 2];
}

template <int kSize>
__global__ void shared_overflow_template_kernel(int* values) {
  wait_for_previous_kernel();
  __shared__ int shared[kSize];
  *address_of(shared, threadIdx.x) = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x / 2];
}

TEST(EmulatedMistakeDeath, AnOverflowOfSharedMemoryIsFound) {
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
  wait_for_previous_kernel();
  y[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
}

TEST(EmulatedMistakeDeath, AVectorLoadFromAnAddressThatIsNoMultipleOfItsSizeIsFound) {
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

TEST(EmulatedMistakeDeath, CodeOnTheHostThatTouchesMemoryOfTheGpuIsFound) {
  const OnGpu<int> memory(32, 0);
  EXPECT_DEATH(memory.get()[3] = 1, "use-after-poison");
}

#endif

}  // namespace
}  // namespace lockstep
