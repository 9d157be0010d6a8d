#pragma once

// Kernels over a matrix (rows, columns) whose columns are channels: each thread handles one column, and a
// warp reads 32 adjacent ones. For .cu files.
#include <algorithm>

#include "src/device/launch.h"
#include "src/device/long_sum.h"

namespace lockstep::cuda {

inline constexpr int kColumnTile = 32;
inline constexpr int kRowTile = 8;
inline constexpr int64_t kMaxRowChunks = 128;

struct Pair {
  float first, second;
};
struct Sums {
  double first, second;
};

/// Sums terms(row, column), two sums at once, over the chunk of rows selected by blockIdx.y. A single chunk
/// passes its sums to finish(column, sums); several store them in partial (chunks, columns).
template <typename Terms, typename Finish>
__global__ void column_sums_kernel(Terms terms, Finish finish, int64_t rows, int64_t columns,
                                   int64_t rows_per_chunk, Sums* partial) {
  __shared__ Sums tile[kRowTile][kColumnTile];
  const int64_t column = int64_t{blockIdx.x} * kColumnTile + threadIdx.x;
  const int64_t begin = int64_t{blockIdx.y} * rows_per_chunk;
  const int64_t end = min(begin + rows_per_chunk, rows);
  LongSum first, second;
  if (column < columns) {
    for (int64_t row = begin + threadIdx.y; row < end; row += kRowTile) {
      const Pair term = terms(row, column);
      first.add(term.first);
      second.add(term.second);
    }
  }
  Sums sum{first.value(), second.value()};
  tile[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  for (int i = 1; i < kRowTile; ++i) {
    sum.first += tile[i][threadIdx.x].first;
    sum.second += tile[i][threadIdx.x].second;
  }
  if (gridDim.y == 1)
    finish(column, sum);
  else
    partial[int64_t{blockIdx.y} * columns + column] = sum;
}

/// Adds the chunks' sums in order.
template <typename Finish>
__global__ void column_finish_kernel(Finish finish, int64_t columns, int64_t chunks, const Sums* partial) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; column < columns; column += stride) {
    Sums sum = partial[column];
    for (int64_t chunk = 1; chunk < chunks; ++chunk) {
      sum.first += partial[chunk * columns + column].first;
      sum.second += partial[chunk * columns + column].second;
    }
    finish(column, sum);
  }
}

inline unsigned column_tiles(int64_t columns) {
  return static_cast<unsigned>((columns + kColumnTile - 1) / kColumnTile);
}

/// Calls finish(column, sums of terms(row, column) over all rows) for every column. How the rows are split,
/// and therefore the order of summation, depends only on the shape.
template <typename Terms, typename Finish>
void column_sums(Exec exec, Terms terms, Finish finish, int64_t rows, int64_t columns) {
  if (columns == 0) return;
  const int64_t in_scratch = static_cast<int64_t>(kScratchBytes / sizeof(Sums)) / columns;
  const int64_t wanted = (rows + 16 * kRowTile - 1) / (16 * kRowTile);
  const int64_t chunks = std::max<int64_t>(1, std::min({wanted, in_scratch, kMaxRowChunks}));
  const int64_t rows_per_chunk = (rows + chunks - 1) / chunks;
  Sums* partial = static_cast<Sums*>(scratch(exec));
  launch(column_sums_kernel<Terms, Finish>, dim3(column_tiles(columns), static_cast<unsigned>(chunks)),
         dim3(kColumnTile, kRowTile), 0, compute_stream(exec), terms, finish, rows, columns, rows_per_chunk,
         partial);
  if (chunks > 1)
    launch(column_finish_kernel<Finish>, blocks_for(columns, 128), 128, 0, compute_stream(exec), finish,
           columns, chunks, partial);
}

/// y[element] = f(row, element), where f is the result of make(column), called once per thread.
template <typename Make, typename T>
__global__ void column_map_kernel(Make make, int64_t rows, int64_t columns, T* y) {
  const int64_t column = int64_t{blockIdx.x} * kColumnTile + threadIdx.x;
  if (column >= columns) return;
  const auto f = make(column);
  const int64_t stride = int64_t{gridDim.y} * kRowTile;
  for (int64_t row = int64_t{blockIdx.y} * kRowTile + threadIdx.y; row < rows; row += stride)
    y[row * columns + column] = T(f(row, row * columns + column));
}

template <typename Make, typename T>
void column_map(Exec exec, Make make, int64_t rows, int64_t columns, T* y) {
  if (rows == 0 || columns == 0) return;
  launch(column_map_kernel<Make, T>, dim3(column_tiles(columns), blocks_for(rows, 4 * kRowTile)),
         dim3(kColumnTile, kRowTile), 0, compute_stream(exec), make, rows, columns, y);
}

}  // namespace lockstep::cuda
