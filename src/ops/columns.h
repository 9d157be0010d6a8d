#pragma once

// Kernels over a matrix (rows, columns) whose columns are channels. A thread handles a few adjacent columns,
// whose elements of a row it reads and writes at once, and every n-th row. For .cu files.
#include <algorithm>
#include <bit>
#include <type_traits>

#include "src/device/kernels/adjacent.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"

namespace lockstep::cuda {

inline constexpr int kColumnThreads = 256;
/// Rows that a thread reads before it works on them, to have several reads under way.
inline constexpr int kRowsAtOnce = 4;
/// Enough to keep a GPU busy, and few: a thread reads what it knows of its columns once for many rows, and a
/// sum has few parts.
inline constexpr int64_t kColumnBlocks = 1024;

struct Pair {
  float first, second;
};
struct Sums {
  double first, second;
};

/// The matrices that a kernel reads: base class of what it computes from them, which adds
///   struct Column          what it knows of one column, a few numbers
///   Column column(c)       makes that
/// and, in Column, operator()(row, elements), where elements[i] is that of matrix i in this row and column.
/// Rows from real_rows() on are not read; they count as zero.
template <typename Type, int kCount>
struct Matrices {
  using T = Type;
  static constexpr int kMatrices = kCount;

  const T* matrix[kCount];
  int64_t columns;

  __device__ const T* row(int i, int64_t row) const { return matrix[i] + row * columns; }
  __device__ int64_t real_rows(int64_t rows) const { return rows; }
};

/// Elements of a few rows, from the same columns on, of all matrices that `source` reads.
template <int kWidth, typename Source>
struct RowsOfColumns {
  using T = typename Source::T;
  Adjacent<T, kWidth> values[kRowsAtOnce][Source::kMatrices];

  /// Rows first, first + stride, ..., but no rows from `end` on.
  __device__ RowsOfColumns(const Source& source, int64_t first, int64_t stride, int64_t end, int64_t column) {
    for (int r = 0; r < kRowsAtOnce; ++r)
      if (const int64_t row = first + r * stride; row < end)
        for (int i = 0; i < Source::kMatrices; ++i)
          values[r][i] = *reinterpret_cast<const Adjacent<T, kWidth>*>(source.row(i, row) + column);
  }
  /// Calls f(row, elements of all matrices) for row r and column k.
  template <typename Column>
  __device__ auto apply(const Column& f, int r, int k, int64_t row) const {
    float elements[Source::kMatrices];
    for (int i = 0; i < Source::kMatrices; ++i) elements[i] = values[r][i].values[k];
    return f(row, elements);
  }
};

/// What a thread knows of its columns.
template <int kWidth, typename Source>
struct OwnColumns {
  typename Source::Column columns[kWidth];
  __device__ OwnColumns(const Source& source, int64_t first) {
    for (int k = 0; k < kWidth; ++k) columns[k] = source.column(first + k);
  }
  __device__ const auto& operator[](int k) const { return columns[k]; }
};

/// Whether a sum over a column is known before it is taken, so that nothing needs to be read for it:
/// `is_known(column)` of the terms or of what finishes them, if they have it.
template <typename Source>
__device__ bool is_known(const Source& source, int64_t column) {
  if constexpr (requires { source.is_known(column); }) return source.is_known(column);
  return false;
}

/// Adds the Sums of all threads of equal threadIdx.x; the order is that of a tree. Each thread has kWidth of
/// them. The result is in tile[0].
template <int kWidth>
__device__ void add_over_rows(Sums (*tile)[kWidth]) {
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y >= half) continue;
    for (int k = 0; k < kWidth; ++k) {
      const Sums& other = tile[thread + half * blockDim.x][k];
      tile[thread][k].first += other.first;
      tile[thread][k].second += other.second;
    }
  }
  __syncthreads();
}

/// Sums two terms of each element over the chunk of rows selected by blockIdx.y: a Column of `terms` returns
/// a Pair. A single chunk passes its sums to finish(column, sums); several store them in partial (columns,
/// chunks). If `firsts` is not null, the first term of each element is also written there, and zero for rows
/// that are not real; it may be one of the matrices. Threads whose columns are all known read nothing, and
/// their sums are not stored.
template <int kWidth, typename Terms, typename Finish>
__global__ void column_sums_kernel(Terms terms, Finish finish, int64_t rows, int64_t columns,
                                   int64_t rows_per_chunk, typename Terms::T* firsts, Sums* partial) {
  wait_for_previous_kernel();
  using T = typename Terms::T;
  __shared__ Sums tile[kColumnThreads][kWidth];
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kWidth;
  const int64_t end = min(int64_t{blockIdx.y + 1} * rows_per_chunk, rows);
  int64_t real_end = min(end, terms.real_rows(rows));
  const int64_t stride = blockDim.y;
  Sums sums[kWidth] = {};
  if (column < columns) {
    bool knows_all = true;
    for (int k = 0; k < kWidth; ++k) knows_all = knows_all && is_known(terms, column + k);
    if (knows_all) real_end = 0;
    const OwnColumns<kWidth, Terms> own(terms, column);
    int64_t row = int64_t{blockIdx.y} * rows_per_chunk + threadIdx.y;
    while (row < real_end) {
      // A few rows are added in float, and their sums in double: nearly as exact as adding in double, which
      // is slow on many GPUs.
      Pair few[kWidth] = {};
      const RowsOfColumns<kWidth, Terms> read(terms, row, stride, real_end, column);
      for (int r = 0; r < kRowsAtOnce && row < real_end; ++r, row += stride) {
        Adjacent<T, kWidth> written;
        for (int k = 0; k < kWidth; ++k) {
          const Pair term = read.apply(own[k], r, k, row);
          few[k].first += term.first;
          few[k].second += term.second;
          written.values[k] = T(term.first);
        }
        if (firsts != nullptr)
          *reinterpret_cast<Adjacent<T, kWidth>*>(firsts + row * columns + column) = written;
      }
      for (int k = 0; k < kWidth; ++k) {
        sums[k].first += few[k].first;
        sums[k].second += few[k].second;
      }
    }
    if (firsts != nullptr)
      for (; row < end; row += stride)
        for (int k = 0; k < kWidth; ++k) firsts[row * columns + column + k] = T(0.0f);
  }
  for (int k = 0; k < kWidth; ++k) tile[thread][k] = sums[k];
  add_over_rows<kWidth>(tile);
  if (threadIdx.y != 0 || column >= columns) return;
  for (int k = 0; k < kWidth; ++k) {
    if (gridDim.y == 1)
      finish(column + k, tile[thread][k]);
    else if (!is_known(terms, column + k))
      partial[(column + k) * gridDim.y + blockIdx.y] = tile[thread][k];
  }
}

/// Adds the chunks' sums, a warp those of a column.
template <typename Finish>
__global__ void column_finish_kernel(Finish finish, int64_t columns, int64_t chunks, const Sums* partial) {
  wait_for_previous_kernel();
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t warps = int64_t{gridDim.x} * blockDim.x / 32;
  for (int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32; column < columns;
       column += warps) {
    Sums sum{};
    const int64_t stored = is_known(finish, column) ? 0 : chunks;
    for (int64_t chunk = lane; chunk < stored; chunk += 32) {
      sum.first += partial[column * chunks + chunk].first;
      sum.second += partial[column * chunks + chunk].second;
    }
    for (int offset = 16; offset > 0; offset /= 2) {
      sum.first += __shfl_xor_sync(0xffffffffu, sum.first, offset);
      sum.second += __shfl_xor_sync(0xffffffffu, sum.second, offset);
    }
    if (lane == 0) finish(column, sum);
  }
}

/// A block of kColumnThreads: as many threads along the columns as there are, up to a warp.
inline dim3 column_block(int64_t threads_of_row) {
  const auto across =
      static_cast<unsigned>(std::bit_ceil(static_cast<uint64_t>(std::clamp<int64_t>(threads_of_row, 1, 32))));
  return {across, kColumnThreads / across};
}

inline unsigned column_tiles(int64_t threads_of_row, const dim3& block) {
  return static_cast<unsigned>((threads_of_row + block.x - 1) / block.x);
}

/// Calls use(std::integral_constant<int, width>) with the number of columns that a thread handles: as many as
/// 16 bytes hold if rows can be read so, otherwise one. Tensors of a plan are always aligned, so that the
/// number depends on shape and type only.
template <typename Source, typename Use>
void with_width(const Source& source, const void* written, int64_t columns, Use use) {
  constexpr int kWidth = 16 / sizeof(typename Source::T);
  bool fits = columns % kWidth == 0 && is_vector_aligned(written);
  for (const auto* matrix : source.matrix) fits = fits && is_vector_aligned(matrix);
  if (fits) return use(std::integral_constant<int, kWidth>{});
  use(std::integral_constant<int, 1>{});
}

/// Calls finish(column, sums of both terms over all rows) for every column, and writes `firsts` if it is not
/// null: see column_sums_kernel(). How the rows are split, and therefore the order of summation, depends only
/// on shape and type.
template <typename Terms, typename Finish>
void column_sums(Exec exec, const Terms& terms, Finish finish, int64_t rows, int64_t columns,
                 typename Terms::T* firsts = nullptr) {
  if (columns == 0) return;
  with_width(terms, firsts, columns, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    const dim3 block = column_block(columns / kWidth);
    const int64_t tiles = column_tiles(columns / kWidth, block);
    const int64_t in_scratch = static_cast<int64_t>(kScratchBytes / sizeof(Sums)) / columns;
    const int64_t wanted = rows / (4 * kRowsAtOnce * block.y) + 1;
    const int64_t chunks = std::max<int64_t>(1, std::min({wanted, in_scratch, kColumnBlocks / tiles}));
    const int64_t rows_per_chunk = (rows + chunks - 1) / chunks;
    Sums* const partial = static_cast<Sums*>(scratch(exec));
    launch(column_sums_kernel<kWidth, Terms, Finish>,
           dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)), block, 0, compute_stream(exec),
           terms, finish, rows, columns, rows_per_chunk, firsts, partial);
    if (chunks > 1)
      launch(column_finish_kernel<Finish>, blocks_for(columns * 32, 128), 128, 0, compute_stream(exec),
             finish, columns, chunks, partial);
  });
}

/// y of each element: a Column of `map` returns a float. Rows that are not real become zero.
template <int kWidth, typename Map>
__global__ void column_map_kernel(Map map, int64_t rows, int64_t columns, typename Map::T* y) {
  wait_for_previous_kernel();
  using T = typename Map::T;
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= columns) return;
  const OwnColumns<kWidth, Map> own(map, column);
  const int64_t real_end = map.real_rows(rows);
  const int64_t stride = int64_t{gridDim.y} * blockDim.y;
  for (int64_t row = int64_t{blockIdx.y} * blockDim.y + threadIdx.y; row < rows;
       row += kRowsAtOnce * stride) {
    const RowsOfColumns<kWidth, Map> read(map, row, stride, real_end, column);
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const int64_t at = row + r * stride;
      if (at >= rows) break;
      Adjacent<T, kWidth> written;
      for (int k = 0; k < kWidth; ++k)
        written.values[k] = at < real_end ? T(read.apply(own[k], r, k, at)) : T(0.0f);
      *reinterpret_cast<Adjacent<T, kWidth>*>(y + at * columns + column) = written;
    }
  }
}

/// y may be one of the matrices.
template <typename Map>
void column_map(Exec exec, const Map& map, int64_t rows, int64_t columns, typename Map::T* y) {
  if (rows == 0 || columns == 0) return;
  with_width(map, y, columns, [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    const dim3 block = column_block(columns / kWidth);
    const unsigned tiles = column_tiles(columns / kWidth, block);
    const int64_t chunks = std::max<int64_t>(1, 2 * kColumnBlocks / tiles);
    launch(column_map_kernel<kWidth, Map>,
           dim3(tiles, blocks_for(rows, kRowsAtOnce * static_cast<int>(block.y), chunks)), block, 0,
           compute_stream(exec), map, rows, columns, y);
  });
}

}  // namespace lockstep::cuda
