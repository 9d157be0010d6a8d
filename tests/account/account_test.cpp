// What the account counts, against numbers that follow from what a kernel does.
#include "tests/support/emulator/account/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mma.h>

#include <functional>
#include <vector>

#include "src/device/buffer.h"
#include "src/device/device.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/device/replay.h"
#include "src/ops/matmul/matmul.h"
#include "tests/support/on_gpu.h"

namespace lockstep {
namespace {

using emulator::account::Node;
using emulator::account::Recording;

constexpr int kThreads = 256;
constexpr uint64_t kSector = 32;

/// The nodes of what `enqueue` starts on this stream.
std::vector<Node> account_of(cudaStream_t stream, const std::function<void()>& enqueue,
                             bool all_blocks = false) {
  const Recording recording(all_blocks);
  enqueue();
  CHECK(cudaStreamSynchronize(stream));
  return recording.nodes();
}

/// y[i] = x[stride * i], a thread for each i.
__global__ void gather_kernel(const float* x, float* y, int stride) {
  wait_for_previous_kernel();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = x[i * static_cast<unsigned>(stride)];
}

/// Of `threads` threads.
Node gather(unsigned threads, int stride) {
  const OnGpu<float> x(threads * 8, 0.0f), y(threads, 0.0f);
  const std::vector<Node> nodes = account_of(x.stream(), [&] {
    launch(gather_kernel, threads / kThreads, kThreads, 0, x.stream(), x.get(), y.get(), stride);
  });
  EXPECT_EQ(nodes.size(), 1U);
  EXPECT_EQ(nodes.at(0).written_bytes, threads * sizeof(float));
  return nodes.at(0);
}

TEST(Account, ACopyMovesEachByteOnceEachWay) {
  const Node node = gather(1024, 1);
  EXPECT_EQ(node.read_bytes, 4096U);
  EXPECT_EQ(node.accessed_bytes, 2 * 4096U);
  EXPECT_EQ(node.blocks, 4U);
  EXPECT_EQ(node.flops, 0U);
}

/// Reads before it waits for the kernel before, which may still write that.
__global__ void hasty_kernel(const float* x, float* y) {
  const float value = x[threadIdx.x];
  wait_for_previous_kernel();
  y[threadIdx.x] = value;
}

TEST(Account, AnAccessBeforeTheWaitForTheKernelBeforeIsAnError) {
  const OnGpu<float> x(kThreads, 0.0f), y(kThreads, 0.0f);
  try {
    account_of(x.stream(), [&] { launch(hasty_kernel, 1, kThreads, 0, x.stream(), x.get(), y.get()); });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("hasty_kernel"));
    EXPECT_THAT(error.what(), testing::HasSubstr("accesses memory before it waits"));
  }
}

TEST(Account, AStrideOfASectorReadsASectorForEachValue) {
  const Node node = gather(1024, 8);
  EXPECT_EQ(node.read_bytes, 1024 * kSector);
  EXPECT_EQ(node.accessed_bytes, 1024 * kSector + 4096);
}

TEST(Account, AValueThatAllThreadsReadIsOneSectorAWarp) {
  const Node node = gather(1024, 0);
  EXPECT_EQ(node.read_bytes, kSector);
  EXPECT_EQ(node.accessed_bytes, 1024 / 32 * kSector + 4096);
}

__global__ void copy_vectors_kernel(const float* x, float* y) {
  wait_for_previous_kernel();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const float4 v = reinterpret_cast<const float4*>(x)[i];
  reinterpret_cast<float4*>(y)[i] = make_float4(v.x + 1, v.y, v.z, v.w);
}

TEST(Account, AVectorIsOneAccess) {
  const OnGpu<float> x(4096, 0.0f), y(4096, 0.0f);
  const Node node = account_of(x.stream(), [&] {
                      launch(copy_vectors_kernel, 4, kThreads, 0, x.stream(), x.get(), y.get());
                    }).at(0);
  EXPECT_EQ(node.read_bytes, 4 * 4096U);
  EXPECT_EQ(node.written_bytes, 4 * 4096U);
  EXPECT_EQ(node.accessed_bytes, 2 * 4 * 4096U);
}

/// Odd and even threads read at different instructions, and the first sixteen twice.
__global__ void diverging_kernel(const float* x, float* y) {
  wait_for_previous_kernel();
  const unsigned i = threadIdx.x;
  float sum = 0.0f;
  for (unsigned k = 0; k < (i < 16 ? 2U : 1U); ++k)
    if (i % 2 == 0)
      sum += x[i];
    else
      sum -= x[32 + i];
  y[i] = sum;
}

TEST(Account, AWarpsAccessIsOfThreadsAtTheSameInstruction) {
  const OnGpu<float> x(64, 0.0f), y(32, 0.0f);
  const Node node =
      account_of(x.stream(), [&] { launch(diverging_kernel, 1, 32, 0, x.stream(), x.get(), y.get()); }).at(0);
  EXPECT_EQ(node.read_bytes, 8 * kSector);
  EXPECT_EQ(node.accessed_bytes, (4 + 2 + 4 + 2 + 4) * kSector);
}

__global__ void shared_kernel(const float* x, float* y, const float* unused) {
  wait_for_previous_kernel();
  __shared__ float values[kThreads];
  values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const float other = values[kThreads - 1 - threadIdx.x];
  y[threadIdx.x] = fmaf(other, 2.0f, unused == nullptr ? 1.0f : 0.0f);
  y[threadIdx.x] += x[threadIdx.x];
}

TEST(Account, CountsSharedMemoryFusedProductsAndRepeatedAccesses) {
  const OnGpu<float> x(kThreads, 0.0f), y(kThreads, 0.0f);
  const Node node = account_of(x.stream(), [&] {
                      launch(shared_kernel, 1, kThreads, 0, x.stream(), x.get(), y.get(), nullptr);
                    }).at(0);
  EXPECT_EQ(node.shared_accesses, 2U * kThreads);
  EXPECT_EQ(node.flops, 2U * kThreads);
  EXPECT_EQ(node.written_bytes, kThreads * sizeof(float));
  EXPECT_GE(node.accessed_bytes, 3 * kThreads * sizeof(float));
}

/// Each warp multiplies two matrices, of shared memory.
__global__ void matrix_kernel(float* y) {
  wait_for_previous_kernel();
  namespace wmma = nvcuda::wmma;
  __shared__ struct alignas(32) { __half numbers[16 * 16]; } matrix;
  __shared__ struct alignas(32) { float numbers[16 * 16]; } sums;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> product;
  wmma::load_matrix_sync(left, matrix.numbers, 16);
  wmma::load_matrix_sync(right, matrix.numbers, 16);
  wmma::fill_fragment(product, 0.0f);
  wmma::mma_sync(product, left, right, product);
  wmma::store_matrix_sync(sums.numbers, product, 16, wmma::mem_row_major);
  y[blockIdx.x * blockDim.x + threadIdx.x] = fmaf(sums.numbers[threadIdx.x], 2.0f, 1.0f);
}

TEST(Account, CountsProductsOfMatricesByThemselves) {
  constexpr unsigned kBlocks = 4096;
  const OnGpu<float> y(kBlocks * 64, 0.0f);
  const Node node =
      account_of(y.stream(), [&] { launch(matrix_kernel, kBlocks, 64, 0, y.stream(), y.get()); }).at(0);
  EXPECT_LT(node.emulated_blocks, kBlocks);
  EXPECT_EQ(node.matrix_flops, kBlocks * 2 * 2 * 16 * 16 * 16);
  EXPECT_EQ(node.flops, kBlocks * 64 * 2);
}

/// A grid-stride loop, of which some blocks have one round more than others.
__global__ void sum_neighbours_kernel(const float* x, float* y, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    y[i] = x[i] + (i + 1 < n ? x[i + 1] : 0.0f);
}

TEST(Account, BlocksThatRepeatAreCountedAsIfAllRan) {
  constexpr int64_t kCount = 2'000'011;
  const OnGpu<float> x(kCount, 0.0f), y(kCount, 0.0f);
  const auto count = [&](bool all_blocks) {
    return account_of(
               x.stream(),
               [&] {
                 launch(sum_neighbours_kernel, 4096, kThreads, 0, x.stream(), x.get(), y.get(), kCount);
               },
               all_blocks)
        .at(0);
  };
  const Node some = count(false), all = count(true);
  EXPECT_EQ(all.emulated_blocks, 4096U);
  EXPECT_LT(some.emulated_blocks, 2048U);
  EXPECT_EQ(some.read_bytes, all.read_bytes);
  EXPECT_EQ(all.written_bytes, (kCount * sizeof(float) + kSector - 1) / kSector * kSector);
  EXPECT_EQ(some.written_bytes, all.written_bytes);
  EXPECT_EQ(some.accessed_bytes, all.accessed_bytes);
}

TEST(Account, AProductOfMatricesReadsEachOperandOnce) {
  const Device device(0);
  const Exec exec = device.exec();
  const MatmulSpec spec{.m = 24, .n = 40, .k = 56};
  Matmul matmul(exec, spec);
  const auto buffer = [&](int64_t floats) {
    return Buffer(exec, Memory::device, static_cast<size_t>(floats) * sizeof(float));
  };
  const Buffer a = buffer(24 * 56), b = buffer(56 * 40), c = buffer(24 * 40);
  const Buffer workspace(exec, Memory::device, matmul.workspace_bytes());
  const Recording recording;
  matmul.run({a.data(), DType::f32, {24, 56}}, {b.data(), DType::f32, {56, 40}}, {},
             {c.data(), DType::f32, {24, 40}},
             {workspace.data(), DType::u8, {static_cast<int64_t>(workspace.size())}});
  synchronize(exec);
  ASSERT_EQ(recording.nodes().size(), 1U);
  const Node& node = recording.nodes()[0];
  EXPECT_EQ(node.flops, 2U * 24 * 40 * 56);
  EXPECT_EQ(node.read_bytes, (24U * 56 + 56 * 40) * sizeof(float));
  EXPECT_EQ(node.written_bytes, 24U * 40 * sizeof(float));
}

TEST(Account, NodesOfAGraphAreInTheOrderOfCapture) {
  const Device device(0);
  const Exec exec = device.exec();
  const OnGpu<float> x(8 * kThreads, 0.0f), y(kThreads, 0.0f);
  int number = 0;
  emulator::account::set_label_source(
      [&] { return emulator::account::Label{.part = ++number, .layer = "layer"}; });
  Replay replay(exec, true, [&] {
    for (int i = 0; i < 3; ++i)
      launch(gather_kernel, 1, kThreads, 0, compute_stream(exec), x.get(), y.get(), i);
  });
  replay.run();
  synchronize(exec);
  const Recording recording;
  replay.run();
  synchronize(exec);
  emulator::account::set_label_source(nullptr);
  ASSERT_EQ(recording.nodes().size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const Node& node = recording.nodes()[i];
    EXPECT_TRUE(node.captured);
    EXPECT_EQ(node.label.part, recording.nodes()[0].label.part + static_cast<int>(i));
    EXPECT_EQ(node.read_bytes, i == 0 ? kSector : i * kThreads * sizeof(float));
  }
}

}  // namespace
}  // namespace lockstep
