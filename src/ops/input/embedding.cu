#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kWarp = 32, kWarps = 4;
constexpr int kColumnsOfLane = 4;
constexpr int64_t kTile = kWarp * kColumnsOfLane;

struct RowOfId {
  const int32_t* ids;
  const float* weight;
  int64_t columns;

  struct Column {
    const int32_t* ids;
    const float* weight;  ///< from this column on
    int64_t columns;
    __device__ float operator()(int64_t row, int64_t) const { return weight[ids[row] * columns]; }
  };
  __device__ Column operator()(int64_t column) const { return {ids, weight + column, columns}; }
};

/// Each warp computes a tile of columns of one table entry at a time. It compares 32 ids at once with the
/// entry and adds the rows that match, in order. No two warps add to the same sum.
__global__ void embedding_backward_kernel(const int32_t* ids, const float* dy, float* dweight, int64_t rows,
                                          int64_t entries, int64_t columns) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t first_column = int64_t{blockIdx.y} * kTile + lane;
  const int64_t stride = int64_t{gridDim.x} * kWarps;
  for (int64_t entry = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; entry < entries; entry += stride) {
    LongSum sums[kColumnsOfLane];
    for (int64_t first = 0; first < rows; first += kWarp) {
      const bool is_here = first + lane < rows && ids[first + lane] == entry;
      unsigned here = __ballot_sync(0xffffffffu, is_here);
      for (; here != 0; here &= here - 1) {
        const int64_t row = first + __ffs(static_cast<int>(here)) - 1;
        for (int k = 0; k < kColumnsOfLane; ++k) {
          const int64_t column = first_column + k * kWarp;
          if (column < columns) sums[k].add(dy[row * columns + column]);
        }
      }
    }
    for (int k = 0; k < kColumnsOfLane; ++k) {
      const int64_t column = first_column + k * kWarp;
      if (column < columns) dweight[entry * columns + column] = static_cast<float>(sums[k].value());
    }
  }
}

}  // namespace

void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y) {
  const int64_t columns = y.shape()[-1];
  column_map(exec, RowOfId{ids.data<int32_t>(), weight.data<float>(), columns}, y.shape()[0], columns,
             y.data<float>());
}

void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight) {
  const int64_t entries = dweight.shape()[0], columns = dweight.shape()[-1];
  const auto tiles = static_cast<unsigned>((columns + kTile - 1) / kTile);
  launch(embedding_backward_kernel, dim3(blocks_for(entries, kWarps), tiles), dim3(kWarps * kWarp), 0,
         compute_stream(exec), ids.data<int32_t>(), dy.data<float>(), dweight.data<float>(), ids.shape()[0],
         entries, columns);
}

}  // namespace lockstep::cuda
