#include "src/device/kernels/previous_kernel.h"
#include "src/ops/attention/attention_tensor_core.h"

namespace lockstep::cuda {

namespace {

/// A warp has kBands bands of 16 queries, so that a matrix of keys or values that it reads from shared memory
/// serves several of them.
template <int kColumns>
struct ForwardTile {
  static constexpr int kWidth = kColumns, kSteps = kColumns / kSide;
  static constexpr int kBands = kColumns <= 64 ? 2 : 1;
  static constexpr int kWarpQueries = kBands * kSide, kQueries = kWarps * kWarpQueries;
  static constexpr int kKeys = 32, kKeySteps = kKeys / kSide;
  /// That fit a multiprocessor together, which limits a thread's registers.
  static constexpr int kMinBlocks = kColumns <= 32 ? 3 : 2;
  /// Floats from row to row of the scores. A row's probabilities then take the place of its first half, and
  /// the correction of its sums the place behind them.
  static constexpr int kStride = kKeys + 8;
};

/// The shared memory of a warp: its scores, and before them its queries.
template <typename Tile, TwoBytes T>
union WarpRoom {
  ScoreMatrix<T, kSide, Tile::kStride> scores;
  HeadRows<T, kSide, Tile::kWidth> queries;
};

/// What a lane knows of its row of a band: half of the scores, of two lanes, in groups of four.
template <typename Tile>
struct SoftmaxRow {
  int query, end;
  float largest = -INFINITY, shift = 0.0f, sum = 0.0f;  ///< shift: an exponent of 2
  static constexpr int kGroups = Tile::kKeys / 8;

  /// Turns scores into weights, not yet divided by their sum; returns the correction of what has been added
  /// up with an earlier maximum (Milakov and Gimelshein 2018, algorithm 3).
  template <TwoBytes T>
  __device__ float weigh(const TensorCoreHead<T>& head, int key, float (&values)[kGroups][4]) {
    const float scale = head.problem.scale * kLog2E;
    const int half = static_cast<int>(threadIdx.x) % 2 * 4;
    float tile_largest = -INFINITY;
    LOCKSTEP_UNROLL
    for (int group = 0; group < kGroups; ++group)
      for (int i = 0; i < 4; ++i) {
        if (!head.reads(key + group * 8 + half + i, end)) values[group][i] = -INFINITY;
        tile_largest = fmaxf(tile_largest, values[group][i]);
      }
    largest = fmaxf(largest, fmaxf(tile_largest, __shfl_xor_sync(0xffffffffu, tile_largest, 1)));
    // If nothing has been read so far, all exponents are -infinity, and the sums stay 0.
    const float shift_before = shift;
    shift = largest == -INFINITY ? 0.0f : largest * scale;
    const float correction = sum == 0.0f ? 0.0f : exp2f(shift_before - shift);
    float tile_sum = 0.0f;
    LOCKSTEP_UNROLL
    for (int group = 0; group < kGroups; ++group) {
      float kept[4];
      head.keep(query, key + group * 8 + half, kept);
      for (int i = 0; i < 4; ++i) {
        const float weight = exp2f(fmaf(values[group][i], scale, -shift));
        tile_sum += weight;
        values[group][i] = weight * kept[i];
      }
    }
    sum = sum * correction + (tile_sum + __shfl_xor_sync(0xffffffffu, tile_sum, 1));
    return correction;
  }
};

/// Scores of a band to weights, in `room`; and multiplies the band's outputs by the correction.
template <typename Tile, TwoBytes T>
__device__ void softmax(const TensorCoreHead<T>& head, int key, const MatrixSums (&scores)[Tile::kKeySteps],
                        WarpRoom<Tile, T>& room, SoftmaxRow<Tile>& row, MatrixSums (&out)[Tile::kSteps]) {
  constexpr int kGroups = SoftmaxRow<Tile>::kGroups;
  const int lane = static_cast<int>(threadIdx.x) % kLanes, half = lane % 2;
  float* const own = room.scores.values + lane / 2 * Tile::kStride;
  __syncwarp();  // the weights before have been read
  LOCKSTEP_UNROLL
  for (int step = 0; step < Tile::kKeySteps; ++step)
    wmma::store_matrix_sync(room.scores.values + step * kSide, scores[step], Tile::kStride,
                            wmma::mem_row_major);
  __syncwarp();
  float values[kGroups][4];
  LOCKSTEP_UNROLL
  for (int group = 0; group < kGroups; ++group) read_four(own + group * 8 + half * 4, values[group]);
  const float correction = row.weigh(head, key, values);
  __syncwarp();
  CudaType<T>* const weights = room.scores.rounded + lane / 2 * 2 * Tile::kStride;
  LOCKSTEP_UNROLL
  for (int group = 0; group < kGroups; ++group) {
    Vector<T, 4> four;
    four.round(values[group]);
    four.write(weights + group * 8 + half * 4);
  }
  // A matrix whose rows are the rows' corrections, so that a lane gets those of the numbers that it has.
  for (int i = 0; i < 2; ++i)
    *reinterpret_cast<float4*>(own + Tile::kKeys / 2 + half * 8 + i * 4) =
        make_float4(correction, correction, correction, correction);
  __syncwarp();
  MatrixSums corrections;
  wmma::load_matrix_sync(corrections, room.scores.values + Tile::kKeys / 2, Tile::kStride,
                         wmma::mem_row_major);
  LOCKSTEP_UNROLL
  for (int step = 0; step < Tile::kSteps; ++step) {
    LOCKSTEP_UNROLL
    for (int i = 0; i < MatrixSums::num_elements; ++i) out[step].x[i] *= corrections.x[i];
  }
}

/// A block computes a tile of queries of one head at a time, as attention_kernel does.
template <typename Tile, TwoBytes T>
__global__ void __launch_bounds__(kTensorCoreThreads, Tile::kMinBlocks)
    attention_tensor_core_kernel(TensorCoreProblem<T> problem, T* y, float* log_sums) {
  wait_for_previous_kernel();
  __shared__ HeadRows<T, Tile::kKeys, Tile::kWidth> k, v;
  __shared__ PerWarp<WarpRoom<Tile, T>> rooms;
  const int warp = static_cast<int>(threadIdx.x) / kLanes, lane = static_cast<int>(threadIdx.x) % kLanes;
  WarpRoom<Tile, T>& room = rooms.of[warp];
  const int64_t tiles = (problem.positions + Tile::kQueries - 1) / Tile::kQueries;
  const int64_t blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const TensorCoreHead<T> head(problem, block / tiles);
    // The tiles that read most come first.
    const int tile = static_cast<int>(tiles - 1 - block % tiles) * Tile::kQueries;
    const int first = tile + warp * Tile::kWarpQueries;
    const int end = head.end_of(tile, Tile::kQueries);
    const int warp_end = head.end_of(first, Tile::kWarpQueries);
    Left<T, wmma::row_major> q[Tile::kBands][Tile::kSteps];
    MatrixSums out[Tile::kBands][Tile::kSteps];
    SoftmaxRow<Tile> rows[Tile::kBands];
    LOCKSTEP_UNROLL
    for (int band = 0; band < Tile::kBands; ++band) {
      const int query = first + band * kSide;
      head.load_through(room.queries, head.q, 3 * head.channels, query, q[band]);
      clear(out[band]);
      rows[band].query = query + lane / 2;
      rows[band].end = head.end_of(rows[band].query);
    }
    for (int key = 0; key < end; key += Tile::kKeys) {
      __syncthreads();  // the tiles before may still be read
      head.load(head.k, 3 * head.channels, key, k, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      head.load(head.v, 3 * head.channels, key, v, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      __syncthreads();
      if (key >= warp_end) continue;
      MatrixSums scores[Tile::kBands][Tile::kKeySteps];
      multiply_transposed(q, k, scores);
      Left<T, wmma::row_major> weights[Tile::kBands][Tile::kKeySteps];
      LOCKSTEP_UNROLL
      for (int band = 0; band < Tile::kBands; ++band) {
        softmax<Tile>(head, key, scores[band], room, rows[band], out[band]);
        LOCKSTEP_UNROLL
        for (int step = 0; step < Tile::kKeySteps; ++step)
          wmma::load_matrix_sync(weights[band][step], room.scores.rounded + step * kSide, 2 * Tile::kStride);
      }
      add_product(weights, v, out);
    }
    LOCKSTEP_UNROLL
    for (int band = 0; band < Tile::kBands; ++band) {
      const SoftmaxRow<Tile>& row = rows[band];
      const float factor = row.sum == 0.0f ? 0.0f : 1.0f / row.sum;
      __syncwarp();
      LOCKSTEP_UNROLL
      for (int i = 0; i < Tile::kSteps; ++i)
        head.store(out[band][i], factor, first + band * kSide, i * kSide,
                   y + problem.offset(head.number, 0, 1), head.channels, room.scores.values);
      if (row.query < head.positions && lane % 2 == 0)
        log_sums[head.number * head.positions + row.query] =
            row.sum == 0.0f ? INFINITY : (row.shift + log2f(row.sum)) * kLn2;
    }
  }
}

template <typename Tile, TwoBytes T>
void tensor_core_forward_with(Exec exec, const TensorCoreProblem<T>& problem, T* y, float* log_sums) {
  const int64_t tiles = (problem.positions + Tile::kQueries - 1) / Tile::kQueries;
  launch(attention_tensor_core_kernel<Tile, T>, blocks_for(problem.samples * problem.heads * tiles, 1),
         kTensorCoreThreads, 0, compute_stream(exec), problem, y, log_sums);
}

}  // namespace

template <TwoBytes T>
void tensor_core_forward(Exec exec, const AttentionProblem<T>& attention, T* y, float* log_sums) {
  const TensorCoreProblem<T> problem(attention, y);
  if (problem.width <= 32)
    tensor_core_forward_with<ForwardTile<32>>(exec, problem, y, log_sums);
  else if (problem.width <= 64)
    tensor_core_forward_with<ForwardTile<64>>(exec, problem, y, log_sums);
  else
    tensor_core_forward_with<ForwardTile<kMaxTensorCoreWidth>>(exec, problem, y, log_sums);
}

template void tensor_core_forward(Exec, const AttentionProblem<bf16>&, bf16*, float*);
template void tensor_core_forward(Exec, const AttentionProblem<f16>&, f16*, float*);

}  // namespace lockstep::cuda
