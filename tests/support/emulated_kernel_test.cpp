// Tests of the emulator itself: that kernels mean on it what they mean on a GPU.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mma.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>
#include <vector>

#include "tests/support/on_gpu.h"

namespace lockstep {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

__global__ void index_kernel(int* out) {
  wait_for_previous_kernel();
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
  wait_for_previous_kernel();
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

__global__ void shuffles_kernel(int* out) {
  wait_for_previous_kernel();
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
  wait_for_previous_kernel();
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

__global__ void atomics_kernel(int* integers, float* sum, unsigned* largest, unsigned* cycle) {
  wait_for_previous_kernel();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(integers, i);
  atomicMax(integers + 1, i);
  atomicMin(integers + 2, -i);
  atomicAdd(sum, 0.5f);
  atomicCAS(largest, 0u, 17u);
  atomicInc(cycle, 6u);
}

TEST(EmulatedKernel, AtomicsMissNothing) {
  const OnGpu<int> integers(3, 0);
  const OnGpu<float> sum(1, 0.0f);
  const OnGpu<unsigned> flag(1, 0u), cycle(1, 0u);
  CHECK(cudaDeviceSynchronize());
  launch(atomics_kernel, 4, 50, 0, integers.stream(), integers.get(), sum.get(), flag.get(), cycle.get());
  EXPECT_THAT(integers.values(), ElementsAreArray({199 * 100, 199, -199}));
  EXPECT_EQ(sum.values()[0], 100.0f);
  EXPECT_EQ(flag.values()[0], 17u);
  EXPECT_EQ(cycle.values()[0], 200u % 7);
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

namespace wmma = nvcuda::wmma;

/// d = 2 a b + c, of matrices whose rows (columns for b and d) are 24 apart.
template <typename T, typename LayoutA, typename LayoutB>
__global__ void matrix_kernel(const T* a, const T* b, const float* c, float* d) {
  wait_for_previous_kernel();
  __shared__ struct alignas(32) { float values[16 * 24]; } sums;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, T, LayoutA> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, T, LayoutB> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> product, added;
  wmma::load_matrix_sync(left, a, 24);
  wmma::load_matrix_sync(right, b, 24);
  wmma::load_matrix_sync(added, c, 16, wmma::mem_row_major);
  wmma::fill_fragment(product, 0.0f);
  wmma::mma_sync(product, left, right, product);
  for (int i = 0; i < product.num_elements; ++i) product.x[i] = 2 * product.x[i] + added.x[i];
  wmma::store_matrix_sync(sums.values, product, 24, wmma::mem_col_major);
  __syncwarp();
  for (unsigned i = threadIdx.x; i < 256; i += 32) d[i] = sums.values[i % 16 * 24 + i / 16];
}

template <typename T, typename LayoutA, typename LayoutB>
void expect_matrix_product() {
  constexpr bool kRowsA = std::is_same_v<LayoutA, wmma::row_major>;
  constexpr bool kRowsB = std::is_same_v<LayoutB, wmma::row_major>;
  const auto a = [](int row, int k) { return static_cast<float>((3 * row + 5 * k) % 7 - 3); };
  const auto b = [](int k, int column) { return static_cast<float>((2 * k + column * k + column) % 9 - 4); };
  std::vector<T> left(16 * 24), right(16 * 24);
  std::vector<float> added(256), expected(256);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; ++column) {
      const auto i = static_cast<size_t>(row * 16 + column);
      left[static_cast<size_t>(kRowsA ? row * 24 + column : column * 24 + row)] = T(a(row, column));
      right[static_cast<size_t>(kRowsB ? row * 24 + column : column * 24 + row)] = T(b(row, column));
      added[i] = static_cast<float>(i);
      for (int k = 0; k < 16; ++k) expected[i] += 2 * a(row, k) * b(k, column);
      expected[i] += added[i];
    }
  const OnGpu<T> a_memory(left), b_memory(right);
  const OnGpu<float> c_memory(added), d_memory(256, 0.0f);
  CHECK(cudaDeviceSynchronize());
  launch(matrix_kernel<T, LayoutA, LayoutB>, 1, 32, 0, d_memory.stream(), a_memory.get(), b_memory.get(),
         c_memory.get(), d_memory.get());
  EXPECT_THAT(d_memory.values(), ElementsAreArray(expected));
}

TEST(EmulatedKernel, AWarpMultipliesMatricesOfAnyLayout) {
  expect_matrix_product<__half, wmma::row_major, wmma::row_major>();
  expect_matrix_product<__half, wmma::col_major, wmma::col_major>();
  expect_matrix_product<__nv_bfloat16, wmma::row_major, wmma::col_major>();
  expect_matrix_product<__nv_bfloat16, wmma::col_major, wmma::row_major>();
}

__global__ void nothing_kernel(int*) { wait_for_previous_kernel(); }

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

}  // namespace
}  // namespace lockstep
