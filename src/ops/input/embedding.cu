#include <algorithm>
#include <bit>

#include "src/device/buffer.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

/// The row of the weights that belongs to each id.
template <Real Type>
struct RowOfId : Matrices<Type, 1> {
  const int32_t* ids;
  __device__ const Type* row(int, int64_t row) const { return this->matrix[0] + ids[row] * this->columns; }

  struct Column {
    __device__ float operator()(int64_t, const float* weight) const { return weight[0]; }
  };
  __device__ Column column(int64_t) const { return {}; }
};

// Rows are sorted by id with a radix sort: a pass for each eight bits, from the lowest, which keeps the order
// of equal digits. A block counts the digits of a chunk of rows; the chunks' counts become positions; then
// each row goes to its position.
constexpr int kDigits = 256, kDigitBits = 8;
constexpr int kChunk = kDigits;  ///< rows, one a thread

int64_t chunks_of(int64_t rows) { return (rows + kChunk - 1) / kChunk; }

/// Ids, and the rows where they were.
struct Sorted {
  int32_t *ids, *rows;
};

__device__ int digit_of(int32_t id, int shift) { return static_cast<int>(id >> shift) & (kDigits - 1); }

/// counts (digits, chunks).
__global__ void count_digits_kernel(const int32_t* ids, int64_t rows, int64_t chunks, int shift,
                                    int32_t* counts) {
  wait_for_previous_kernel();
  __shared__ int mine[kDigits];
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    mine[threadIdx.x] = 0;
    __syncthreads();
    const int64_t row = chunk * kChunk + threadIdx.x;
    if (row < rows) atomicAdd(&mine[digit_of(ids[row], shift)], 1);
    __syncthreads();
    counts[threadIdx.x * chunks + chunk] = mine[threadIdx.x];
    __syncthreads();  // the next round clears the counts
  }
}

/// Replaces each count by the sum of those before it. One block, a thread a digit.
__global__ void digit_positions_kernel(int64_t chunks, int32_t* counts) {
  wait_for_previous_kernel();
  __shared__ int32_t sums[kDigits];
  int32_t* const mine = counts + threadIdx.x * chunks;
  int32_t sum = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += mine[chunk];
  sums[threadIdx.x] = sum;
  __syncthreads();
  int32_t position = 0;
  for (unsigned digit = 0; digit < threadIdx.x; ++digit) position += sums[digit];
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int32_t count = mine[chunk];
    mine[chunk] = position;
    position += count;
  }
}

/// from_rows is null in the first pass: the rows are in order.
__global__ void sort_by_digit_kernel(const int32_t* from_ids, const int32_t* from_rows, int64_t rows,
                                     int64_t chunks, int shift, const int32_t* positions, Sorted to) {
  wait_for_previous_kernel();
  __shared__ int digits[kChunk];
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const int64_t row = chunk * kChunk + threadIdx.x;
    const int digit = row < rows ? digit_of(from_ids[row], shift) : kDigits;
    digits[threadIdx.x] = digit;
    __syncthreads();
    if (row < rows) {
      int32_t position = positions[digit * chunks + chunk];
      for (unsigned earlier = 0; earlier < threadIdx.x; ++earlier) position += digits[earlier] == digit;
      to.ids[position] = from_ids[row];
      to.rows[position] = from_rows == nullptr ? static_cast<int32_t>(row) : from_rows[row];
    }
    __syncthreads();  // the next round writes the digits
  }
}

/// Buffers in the workspace: two that passes write in turn, and the counts.
struct Workspace {
  Sorted sorted[2];
  int32_t* counts;

  Workspace(void* memory, int64_t rows) {
    auto* const begin = static_cast<int32_t*>(memory);
    for (int i = 0; i < 2; ++i) sorted[i] = {begin + 2 * i * rows, begin + (2 * i + 1) * rows};
    counts = begin + 4 * rows;
  }
};

/// Enqueues the passes; returns where the result will be.
Sorted sort_by_id(Exec exec, const int32_t* ids, int64_t rows, int64_t entries, const Workspace& workspace) {
  const int64_t chunks = chunks_of(rows);
  const int bits = std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(entries - 1))));
  Sorted from{nullptr, nullptr};
  for (int shift = 0, pass = 0; shift < bits; shift += kDigitBits, ++pass) {
    const int32_t* const from_ids = pass == 0 ? ids : from.ids;
    const Sorted to = workspace.sorted[pass % 2];
    launch(count_digits_kernel, blocks_for(chunks, 1), kDigits, 0, compute_stream(exec), from_ids, rows,
           chunks, shift, workspace.counts);
    launch(digit_positions_kernel, 1, kDigits, 0, compute_stream(exec), chunks, workspace.counts);
    launch(sort_by_digit_kernel, blocks_for(chunks, 1), kChunk, 0, compute_stream(exec), from_ids, from.rows,
           rows, chunks, shift, workspace.counts, to);
    from = to;
  }
  return from;
}

constexpr int kSumRows = 8;     ///< threads that share the rows of an id
constexpr int kSumColumns = 4;  ///< of a thread
constexpr int kColumnTile = 32;
constexpr int64_t kSumTile = kColumnTile * kSumColumns;

/// The end of the rows with the id at `begin`.
__device__ int64_t end_of(const int32_t* ids, int64_t begin, int64_t rows) {
  int64_t low = begin + 1, high = rows;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (ids[middle] == ids[begin])
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// A block adds a tile of columns of all rows of one id at a time: thread row y the rows y, y + kSumRows, ...
template <Real T>
__global__ void embedding_sums_kernel(Sorted sorted, int64_t rows, int64_t columns, const T* dy,
                                      float* dweight) {
  wait_for_previous_kernel();
  __shared__ double tile[kSumRows][kSumTile];
  const int64_t first_column = int64_t{blockIdx.y} * kSumTile + threadIdx.x;
  for (int64_t begin = blockIdx.x; begin < rows; begin += gridDim.x) {
    const int32_t id = sorted.ids[begin];
    if (begin > 0 && sorted.ids[begin - 1] == id) continue;
    const int64_t end = end_of(sorted.ids, begin, rows);
    LongSum sums[kSumColumns];
    for (int64_t i = begin + threadIdx.y; i < end; i += kSumRows)
      for (int k = 0; k < kSumColumns; ++k)
        if (const int64_t column = first_column + k * kColumnTile; column < columns)
          sums[k].add(dy[sorted.rows[i] * columns + column]);
    for (int k = 0; k < kSumColumns; ++k) tile[threadIdx.y][threadIdx.x + k * kColumnTile] = sums[k].value();
    __syncthreads();
    if (threadIdx.y == 0)
      for (int k = 0; k < kSumColumns; ++k) {
        double sum = 0.0;
        for (int y = 0; y < kSumRows; ++y) sum += tile[y][threadIdx.x + k * kColumnTile];
        if (const int64_t column = first_column + k * kColumnTile; column < columns)
          dweight[id * columns + column] = static_cast<float>(sum);
      }
    __syncthreads();  // the next id's sums go into the tile
  }
}

}  // namespace

void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y) {
  const int64_t columns = y.shape()[-1];
  with_real(y.dtype(), [&]<Real T>(T) {
    column_map(exec, RowOfId<T>{{{weight.data<T>()}, columns}, ids.data<int32_t>()}, y.shape()[0], columns,
               y.data<T>());
  });
}

size_t embedding_workspace_bytes(int64_t rows) {
  return static_cast<size_t>(4 * rows + kDigits * chunks_of(rows)) * sizeof(int32_t);
}

void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight, Tensor workspace) {
  const int64_t rows = ids.shape()[0], entries = dweight.shape()[0], columns = dweight.shape()[-1];
  fill_zero(exec, dweight.raw(), dweight.bytes());
  if (rows == 0) return;
  const Sorted sorted =
      sort_by_id(exec, ids.data<int32_t>(), rows, entries, Workspace(workspace.raw(), rows));
  const auto tiles = static_cast<unsigned>((columns + kSumTile - 1) / kSumTile);
  with_real(dy.dtype(), [&]<Real T>(T) {
    launch(embedding_sums_kernel<T>, dim3(blocks_for(rows, 1), tiles), dim3(kColumnTile, kSumRows), 0,
           compute_stream(exec), sorted, rows, columns, dy.data<T>(), dweight.data<float>());
  });
}

}  // namespace lockstep::cuda
