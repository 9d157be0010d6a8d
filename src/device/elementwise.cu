#include "src/device/elementwise.h"

#include "src/core/error.h"
#include "src/device/elementwise_kernels.h"
#include "src/device/kernels/previous_kernel.h"

namespace lockstep::cuda {

namespace {

struct Same {
  __device__ float operator()(float value) const { return value; }
};

/// Value i of each of the vectors of add_tree().
struct TreeLeaves {
  const float *own, *others;
  int64_t n, i;
  int position;

  __device__ float operator()(int k) const {
    return k == position ? own[i] : others[(k < position ? k : k - 1) * n + i];
  }
};

template <int kCount>
__device__ float tree_sum_of(const TreeLeaves& leaves, int first) {
  if constexpr (kCount == 1)
    return leaves(first);
  else
    return tree_sum_of<kCount / 2>(leaves, first) + tree_sum_of<kCount / 2>(leaves, first + kCount / 2);
}

template <int kCount>
__global__ void add_tree_kernel(float* destination, const float* others, int64_t n, int position) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    destination[i] = tree_sum_of<kCount>({destination, others, n, i, position}, 0);
}

template <int kCount>
void launch_add_tree(cudaStream_t stream, float* destination, const float* others, int64_t n, int position) {
  launch(add_tree_kernel<kCount>, blocks_for(n, kElementwiseBlock), kElementwiseBlock, 0, stream, destination,
         others, n, position);
}

}  // namespace

void add_in_place(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  zip(stream, Add{}, destination, source, destination, n);
}

void add_tree(cudaStream_t stream, float* destination, const float* others, int64_t n, int count,
              int position) {
  if (n == 0) return;
  switch (count) {
    case 2:
      return launch_add_tree<2>(stream, destination, others, n, position);
    case 4:
      return launch_add_tree<4>(stream, destination, others, n, position);
    case 8:
      return launch_add_tree<8>(stream, destination, others, n, position);
    case 16:
      return launch_add_tree<16>(stream, destination, others, n, position);
    default:
      INVARIANT(count == 1, "a sum of {} vectors", count);
  }
}

void copy_few(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  map(stream, Same{}, source, destination, n);
}

}  // namespace lockstep::cuda
