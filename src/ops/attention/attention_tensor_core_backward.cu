#include "src/device/kernels/previous_kernel.h"
#include "src/ops/attention/attention_tensor_core.h"

namespace lockstep::cuda {

namespace {

template <TwoBytes T>
struct TensorCoreBackward {
  TensorCoreProblem<T> problem;
  const T* dy;
  const float *log_sums, *dots;
};

/// What a lane knows of a query that it has.
template <TwoBytes T>
struct GradientRow {
  int query, end;
  float log_sum = 0.0f, dot = 0.0f;  ///< log_sum: an exponent of 2

  __device__ GradientRow(const TensorCoreBackward<T>& backward, const TensorCoreHead<T>& head, int which)
      : query(which), end(head.end_of(which)) {
    if (query >= head.positions) return;
    log_sum = backward.log_sums[head.number * head.positions + query] * kLog2E;
    dot = backward.dots[head.number * head.positions + query];
  }

  /// For four keys, the first a multiple of 4: scores become probabilities, times what dropout made of them;
  /// and gradients of these become gradients of the scores times the scale, which are not yet divided by it.
  __device__ void differentiate(const TensorCoreHead<T>& head, int key, float (&scores)[4],
                                float (&gradients)[4]) const {
    const float scale = head.problem.scale * kLog2E;
    float kept[4];
    head.keep(query, key, kept);
    for (int i = 0; i < 4; ++i) {
      const float probability = head.reads(key + i, end) ? exp2f(fmaf(scores[i], scale, -log_sum)) : 0.0f;
      scores[i] = probability * kept[i];
      gradients[i] = probability * (gradients[i] * kept[i] - dot);
    }
  }
};

/// The shared memory of a warp: scores and the gradients of the probabilities, and before them the rows that
/// it has of two tensors, one after the other.
template <TwoBytes T, int kRows, int kStride, int kColumns>
union GradientRoom {
  struct {
    ScoreMatrix<T, kRows, kStride> scores, gradients;
  } matrices;
  HeadRows<T, kSide, kColumns> rows;
};

/// As in ForwardTile.
template <int kColumns>
struct QueryGradientTile {
  static constexpr int kWidth = kColumns, kSteps = kColumns / kSide;
  static constexpr int kBands = kColumns <= 64 ? 2 : 1;
  static constexpr int kWarpQueries = kBands * kSide, kQueries = kWarps * kWarpQueries;
  static constexpr int kKeys = 32, kKeySteps = kKeys / kSide, kStride = kKeys + 8;
  static constexpr int kMinBlocks = 2;
  template <TwoBytes T>
  using Room = GradientRoom<T, kSide, kStride, kColumns>;
};

/// Gradients of the scores of a band, in `room`. A lane has half of a row, in groups of four keys.
template <typename Tile, TwoBytes T>
__device__ void score_gradients(const TensorCoreHead<T>& head, const GradientRow<T>& row, int key,
                                const MatrixSums (&scores)[Tile::kKeySteps],
                                const MatrixSums (&gradients)[Tile::kKeySteps],
                                typename Tile::template Room<T>& room) {
  constexpr int kGroups = Tile::kKeys / 8;
  const int lane = static_cast<int>(threadIdx.x) % kLanes, half = lane % 2 * 4;
  auto& matrices = room.matrices;
  __syncwarp();  // the gradients before have been read
  LOCKSTEP_UNROLL
  for (int step = 0; step < Tile::kKeySteps; ++step) {
    wmma::store_matrix_sync(matrices.scores.values + step * kSide, scores[step], Tile::kStride,
                            wmma::mem_row_major);
    wmma::store_matrix_sync(matrices.gradients.values + step * kSide, gradients[step], Tile::kStride,
                            wmma::mem_row_major);
  }
  __syncwarp();
  Vector<T, 4> own[kGroups];
  LOCKSTEP_UNROLL
  for (int group = 0; group < kGroups; ++group) {
    const int at = lane / 2 * Tile::kStride + group * 8 + half;
    float own_scores[4], own_gradients[4];
    read_four(matrices.scores.values + at, own_scores);
    read_four(matrices.gradients.values + at, own_gradients);
    row.differentiate(head, key + group * 8 + half, own_scores, own_gradients);
    own[group].round(own_gradients);
  }
  __syncwarp();
  LOCKSTEP_UNROLL
  for (int group = 0; group < kGroups; ++group)
    own[group].write(matrices.scores.rounded + lane / 2 * 2 * Tile::kStride + group * 8 + half);
  __syncwarp();
}

/// A block computes the gradient of a tile of queries at a time.
template <typename Tile, TwoBytes T>
__global__ void __launch_bounds__(kTensorCoreThreads, Tile::kMinBlocks)
    query_gradient_tensor_core_kernel(TensorCoreBackward<T> backward, T* dqkv) {
  wait_for_previous_kernel();
  __shared__ HeadRows<T, Tile::kKeys, Tile::kWidth> k, v;
  __shared__ PerWarp<typename Tile::template Room<T>> rooms;
  const TensorCoreProblem<T>& problem = backward.problem;
  const int warp = static_cast<int>(threadIdx.x) / kLanes, lane = static_cast<int>(threadIdx.x) % kLanes;
  auto& room = rooms.of[warp];
  const int64_t tiles = (problem.positions + Tile::kQueries - 1) / Tile::kQueries;
  const int64_t blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const TensorCoreHead<T> head(problem, block / tiles);
    const int tile = static_cast<int>(tiles - 1 - block % tiles) * Tile::kQueries;
    const int first = tile + warp * Tile::kWarpQueries;
    const int end = head.end_of(tile, Tile::kQueries), warp_end = head.end_of(first, Tile::kWarpQueries);
    Left<T, wmma::row_major> q[Tile::kBands][Tile::kSteps], dy[Tile::kBands][Tile::kSteps];
    MatrixSums dq[Tile::kBands][Tile::kSteps];
    LOCKSTEP_UNROLL
    for (int band = 0; band < Tile::kBands; ++band) {
      const int query = first + band * kSide;
      head.load_through(room.rows, head.q, 3 * head.channels, query, q[band]);
      head.load_through(room.rows, backward.dy + problem.offset(head.number, 0, 1), head.channels, query,
                        dy[band]);
      clear(dq[band]);
    }
    for (int key = 0; key < end; key += Tile::kKeys) {
      __syncthreads();  // the tiles before may still be read
      head.load(head.k, 3 * head.channels, key, k, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      head.load(head.v, 3 * head.channels, key, v, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      __syncthreads();
      if (key >= warp_end) continue;
      MatrixSums scores[Tile::kBands][Tile::kKeySteps], gradients[Tile::kBands][Tile::kKeySteps];
      multiply_transposed(q, k, scores);
      multiply_transposed(dy, v, gradients);
      Left<T, wmma::row_major> factors[Tile::kBands][Tile::kKeySteps];
      LOCKSTEP_UNROLL
      for (int band = 0; band < Tile::kBands; ++band) {
        const GradientRow<T> row(backward, head, first + band * kSide + lane / 2);
        score_gradients<Tile>(head, row, key, scores[band], gradients[band], room);
        LOCKSTEP_UNROLL
        for (int step = 0; step < Tile::kKeySteps; ++step)
          wmma::load_matrix_sync(factors[band][step], room.matrices.scores.rounded + step * kSide,
                                 2 * Tile::kStride);
      }
      add_product(factors, k, dq);
    }
    LOCKSTEP_UNROLL
    for (int band = 0; band < Tile::kBands; ++band) {
      __syncwarp();
      LOCKSTEP_UNROLL
      for (int i = 0; i < Tile::kSteps; ++i)
        head.store(dq[band][i], problem.scale, first + band * kSide, i * kSide,
                   dqkv + problem.offset(head.number, 0, 3), 3 * head.channels, room.matrices.scores.values);
    }
  }
}

/// A warp has 16 keys, and a lane a query of a tile.
template <int kColumns>
struct KeyGradientTile {
  static constexpr int kWidth = kColumns, kSteps = kColumns / kSide;
  static constexpr int kKeys = kWarps * kSide, kQueries = kLanes, kBands = kQueries / kSide;
  static constexpr int kStride = kSide + 4, kMinBlocks = kColumns <= 64 ? 3 : 2;
  template <TwoBytes T>
  using Room = GradientRoom<T, kQueries, kStride, kColumns>;
};

/// A block computes the gradients of a tile of keys and of their values at a time, over the queries that read
/// them.
template <typename Tile, TwoBytes T>
__global__ void __launch_bounds__(kTensorCoreThreads, Tile::kMinBlocks)
    key_gradient_tensor_core_kernel(TensorCoreBackward<T> backward, T* dqkv) {
  wait_for_previous_kernel();
  __shared__ HeadRows<T, Tile::kQueries, Tile::kWidth> q, dy;
  __shared__ PerWarp<typename Tile::template Room<T>> rooms;
  const TensorCoreProblem<T>& problem = backward.problem;
  const int warp = static_cast<int>(threadIdx.x) / kLanes, lane = static_cast<int>(threadIdx.x) % kLanes;
  auto& room = rooms.of[warp];
  auto& matrices = room.matrices;
  const int64_t tiles = (problem.positions + Tile::kKeys - 1) / Tile::kKeys;
  const int64_t blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const TensorCoreHead<T> head(problem, block / tiles);
    const T* const dy_rows = backward.dy + problem.offset(head.number, 0, 1);
    const int tile = static_cast<int>(block % tiles) * Tile::kKeys, first = tile + warp * kSide;
    Right<T, wmma::col_major> k[Tile::kSteps], v[Tile::kSteps];
    MatrixSums dk[Tile::kSteps], dv[Tile::kSteps];
    head.load_through(room.rows, head.k, 3 * head.channels, first, k);
    head.load_through(room.rows, head.v, 3 * head.channels, first, v);
    clear(dk);
    clear(dv);
    for (int query = problem.causal ? tile : 0; query < head.positions; query += Tile::kQueries) {
      __syncthreads();  // the tiles before may still be read
      head.load(head.q, 3 * head.channels, query, q, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      head.load(dy_rows, head.channels, query, dy, static_cast<int>(threadIdx.x), kTensorCoreThreads);
      __syncthreads();
      if (first >= head.end_of(query, Tile::kQueries)) continue;
      LOCKSTEP_UNROLL
      for (int band = 0; band < Tile::kBands; ++band) {
        MatrixSums scores, gradients;
        wmma::fill_fragment(scores, 0.0f);
        wmma::fill_fragment(gradients, 0.0f);
        LOCKSTEP_UNROLL
        for (int i = 0; i < Tile::kSteps; ++i) {
          Left<T, wmma::row_major> rows;
          wmma::load_matrix_sync(rows, q.matrix(band, i), q.kStride);
          wmma::mma_sync(scores, rows, k[i], scores);
          wmma::load_matrix_sync(rows, dy.matrix(band, i), dy.kStride);
          wmma::mma_sync(gradients, rows, v[i], gradients);
        }
        const int at = band * kSide * Tile::kStride;
        wmma::store_matrix_sync(matrices.scores.values + at, scores, Tile::kStride, wmma::mem_row_major);
        wmma::store_matrix_sync(matrices.gradients.values + at, gradients, Tile::kStride,
                                wmma::mem_row_major);
      }
      __syncwarp();
      const GradientRow<T> row(backward, head, query + lane);
      constexpr int kGroups = kSide / 4;
      Vector<T, 4> weights[kGroups], gradients[kGroups];
      LOCKSTEP_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        const int at = lane * Tile::kStride + group * 4;
        float scores[4], score_gradients[4];
        read_four(matrices.scores.values + at, scores);
        read_four(matrices.gradients.values + at, score_gradients);
        row.differentiate(head, first + group * 4, scores, score_gradients);
        weights[group].round(scores);
        gradients[group].round(score_gradients);
      }
      __syncwarp();
      LOCKSTEP_UNROLL
      for (int group = 0; group < kGroups; ++group) {
        const int at = lane * 2 * Tile::kStride + group * 4;
        weights[group].write(matrices.scores.rounded + at);
        gradients[group].write(matrices.gradients.rounded + at);
      }
      __syncwarp();
      LOCKSTEP_UNROLL
      for (int band = 0; band < Tile::kBands; ++band) {
        // Of a query after the other, which is transposed: a key's lie in a column.
        const int at = band * kSide * 2 * Tile::kStride;
        Left<T, wmma::col_major> rounded_weights, rounded_gradients;
        wmma::load_matrix_sync(rounded_weights, matrices.scores.rounded + at, 2 * Tile::kStride);
        wmma::load_matrix_sync(rounded_gradients, matrices.gradients.rounded + at, 2 * Tile::kStride);
        LOCKSTEP_UNROLL
        for (int i = 0; i < Tile::kSteps; ++i) {
          Right<T, wmma::row_major> rows;
          wmma::load_matrix_sync(rows, dy.matrix(band, i), dy.kStride);
          wmma::mma_sync(dv[i], rounded_weights, rows, dv[i]);
          wmma::load_matrix_sync(rows, q.matrix(band, i), q.kStride);
          wmma::mma_sync(dk[i], rounded_gradients, rows, dk[i]);
        }
      }
      __syncwarp();  // the next scores take their place
    }
    T* const to = dqkv + problem.offset(head.number, 0, 3) + head.channels;
    __syncwarp();
    LOCKSTEP_UNROLL
    for (int i = 0; i < Tile::kSteps; ++i) {
      head.store(dk[i], problem.scale, first, i * kSide, to, 3 * head.channels, matrices.scores.values);
      head.store(dv[i], 1.0f, first, i * kSide, to + head.channels, 3 * head.channels,
                 matrices.scores.values);
    }
  }
}

template <typename Queries, typename Keys, TwoBytes T>
void tensor_core_backward_with(Exec exec, const TensorCoreBackward<T>& backward, T* dqkv) {
  const TensorCoreProblem<T>& problem = backward.problem;
  const auto blocks = [&](int rows) {
    return blocks_for(problem.samples * problem.heads * ((problem.positions + rows - 1) / rows), 1);
  };
  launch(query_gradient_tensor_core_kernel<Queries, T>, blocks(Queries::kQueries), kTensorCoreThreads, 0,
         compute_stream(exec), backward, dqkv);
  launch(key_gradient_tensor_core_kernel<Keys, T>, blocks(Keys::kKeys), kTensorCoreThreads, 0,
         compute_stream(exec), backward, dqkv);
}

}  // namespace

template <TwoBytes T>
void tensor_core_backward(Exec exec, const AttentionProblem<T>& attention, const T* dy, const float* log_sums,
                          const float* dots, T* dqkv) {
  const TensorCoreBackward<T> backward{TensorCoreProblem<T>(attention, dy, dqkv), dy, log_sums, dots};
  const auto with = [&]<int kColumns>(std::integral_constant<int, kColumns>) {
    tensor_core_backward_with<QueryGradientTile<kColumns>, KeyGradientTile<kColumns>>(exec, backward, dqkv);
  };
  if (attention.width <= 32)
    with(std::integral_constant<int, 32>{});
  else if (attention.width <= 64)
    with(std::integral_constant<int, 64>{});
  else
    with(std::integral_constant<int, kMaxTensorCoreWidth>{});
}

template void tensor_core_backward(Exec, const AttentionProblem<bf16>&, const bf16*, const float*,
                                   const float*, bf16*);
template void tensor_core_backward(Exec, const AttentionProblem<f16>&, const f16*, const float*, const float*,
                                   f16*);

}  // namespace lockstep::cuda
