#pragma once

// What the kernels of attention share, for .cu files.
#include "src/core/rng.h"
#include "src/device/kernels/launch.h"
#include "src/ops/attention/attention.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

/// Threads that work on one row of a tile; they are in one warp.
constexpr int kRowLanes = 8;

/// Tiles of heads of up to kColumns numbers: as many rows as keep the tiles of a kernel within 48 KiB.
template <int kColumns>
struct TileOf {
  static constexpr int kWidth = kColumns;
  static constexpr int kRows = kColumns <= 64 ? 32 : kColumns <= 128 ? 16 : 8;
  static constexpr int kThreads = kRows * kRowLanes;
  /// Rows and columns of a tile that a thread has: row threadIdx.x / kRowLanes, and of the others every
  /// kRowLanes-th from threadIdx.x % kRowLanes.
  static constexpr int kOwnRows = kRows / kRowLanes, kOwnColumns = kColumns / kRowLanes;
  /// An odd number of floats from row to row: threads that read the same column of different rows use
  /// different banks.
  using Rows = float[kRows][kColumns + 1];
  using Scores = float[kRows][kRows + 1];

  /// That cover so many positions.
  static __host__ __device__ int64_t count(int64_t positions) { return (positions + kRows - 1) / kRows; }
};

/// What is computed, for all heads of all samples.
template <Real T>
struct AttentionProblem {
  int64_t heads, samples, positions, width;
  bool causal;
  float scale, rate;
  uint64_t key;  ///< of the dropout
  const MicroBatchInfo* info;
  const int64_t* sample_index;
  const T *qkv, *mask;

  AttentionProblem(const AttentionSpec& spec, const AttentionInputs& inputs)
      : heads(spec.heads),
        samples(inputs.qkv.shape()[0]),
        positions(inputs.qkv.shape()[1]),
        width(inputs.qkv.shape()[2] / (3 * spec.heads)),
        causal(spec.causal),
        scale(1.0f / sqrtf(static_cast<float>(width))),
        rate(spec.dropout.rate),
        key(spec.dropout.seed ^ spec.dropout.layer),
        info(inputs.info),
        sample_index(inputs.sample_index.data<int64_t>()),
        qkv(inputs.qkv.data<T>()),
        mask(inputs.mask.data<T>()) {}

  __device__ int64_t channels() const { return heads * width; }
  /// Of the numbers of a head in (N, T, parts C), of which there are `parts` in a row.
  __device__ int64_t offset(int64_t head, int64_t position, int64_t parts) const {
    return (head / heads * positions + position) * parts * channels() + head % heads * width;
  }
  __device__ bool reads(int64_t head, int64_t query, int64_t other) const {
    return query < positions && other < positions && (!causal || other <= query) &&
           (mask == nullptr || mask[head / heads * positions + other] != 0.0f);
  }
  /// What dropout multiplies a probability by.
  __device__ float kept(int64_t head, int64_t query, int64_t other) const {
    if (rate == 0.0f) return 1.0f;
    const uint64_t row = static_cast<uint64_t>(head % heads * positions + query);
    const uint64_t groups = static_cast<uint64_t>((positions + 3) / 4);
    const Random4 random =
        philox(key, static_cast<uint64_t>(sample_index[head / heads]),
               (static_cast<uint64_t>(info->step) << 32) + row * groups + static_cast<uint64_t>(other / 4));
    return uniform(random.word[other % 4]) < rate ? 0.0f : 1.0f / (1.0f - rate);
  }
};

/// Reads rows from `first` on of one part (query, key or value: 0 to `parts` - 1) of a head into a tile, and
/// zero where there are none.
template <typename Tile, Real T>
__device__ void load(const AttentionProblem<T>& problem, const T* from, int64_t head, int64_t first, int part,
                     int parts, typename Tile::Rows& tile) {
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * Tile::kWidth; i += Tile::kThreads) {
    const int row = i / Tile::kWidth, column = i % Tile::kWidth;
    const bool exists = first + row < problem.positions && column < problem.width;
    tile[row][column] =
        exists ? float{from[problem.offset(head, first + row, parts) + part * problem.channels() + column]}
               : 0.0f;
  }
}

template <typename Tile>
__device__ float dot(const float (&a)[Tile::kWidth + 1], const float (&b)[Tile::kWidth + 1]) {
  float sum = 0.0f;
  for (int column = 0; column < Tile::kWidth; ++column) sum = fmaf(a[column], b[column], sum);
  return sum;
}

/// Adds weights (rows) times tile (rows, columns) to the columns that this thread has.
template <typename Tile>
__device__ void add_weighted(const float (&weights)[Tile::kRows + 1], const typename Tile::Rows& tile,
                             int lane, float (&sums)[Tile::kOwnColumns]) {
  for (int row = 0; row < Tile::kRows; ++row)
    for (int k = 0; k < Tile::kOwnColumns; ++k)
      sums[k] = fmaf(weights[row], tile[row][lane + k * kRowLanes], sums[k]);
}

/// Writes the columns that this thread has, times a factor.
template <typename Tile, Real T>
__device__ void store(const AttentionProblem<T>& problem, const float (&sums)[Tile::kOwnColumns], int lane,
                      float factor, T* to) {
  for (int k = 0; k < Tile::kOwnColumns; ++k)
    if (const int column = lane + k * kRowLanes; column < problem.width) to[column] = T(sums[k] * factor);
}

}  // namespace lockstep::cuda
