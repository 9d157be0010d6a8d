#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/attention/attention_cudnn.h"
#include "src/ops/attention/attention_tensor_core.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr unsigned kWholeWarp = 0xffffffffu;

/// The threads of a row combine their values; each gets the result.
template <typename Combine>
__device__ float row_reduce(float value, Combine combine) {
  for (int offset = kRowLanes / 2; offset > 0; offset /= 2)
    value = combine(value, __shfl_xor_sync(kWholeWarp, value, offset));
  return value;
}

/// A block computes a tile of queries of one head at a time, over the tiles of keys that they read, with
/// maximum, sum and output corrected from tile to tile (Milakov and Gimelshein 2018, algorithm 3).
template <typename Tile, Real T>
__global__ void attention_kernel(AttentionProblem<T> problem, T* y, float* log_sums) {
  wait_for_previous_kernel();
  __shared__ typename Tile::Rows q, k, v;
  __shared__ typename Tile::Scores weights;
  const int row = static_cast<int>(threadIdx.x) / kRowLanes, lane = static_cast<int>(threadIdx.x) % kRowLanes;
  const int64_t tiles = Tile::count(problem.positions), blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t head = block / tiles, first = (tiles - 1 - block % tiles) * Tile::kRows;
    const int64_t query = first + row;
    const int64_t end = problem.causal ? min(problem.positions, first + Tile::kRows) : problem.positions;
    float largest = -INFINITY, shift = 0.0f, sum = 0.0f;
    float out[Tile::kOwnColumns] = {};
    __syncthreads();  // the tile before may still be read
    load<Tile>(problem, problem.qkv, head, first, 0, 3, q);
    for (int64_t key = 0; key < end; key += Tile::kRows) {
      __syncthreads();
      load<Tile>(problem, problem.qkv, head, key, 1, 3, k);
      load<Tile>(problem, problem.qkv, head, key, 2, 3, v);
      __syncthreads();
      float scores[Tile::kOwnRows];
      float tile_largest = -INFINITY;
      for (int i = 0; i < Tile::kOwnRows; ++i) {
        const int other = lane + i * kRowLanes;
        scores[i] =
            problem.reads(head, query, key + other) ? dot<Tile>(q[row], k[other]) * problem.scale : -INFINITY;
        tile_largest = fmaxf(tile_largest, scores[i]);
      }
      largest = fmaxf(largest, row_reduce(tile_largest, Maximum{}));
      // If nothing has been read so far, all exponents are -infinity, and the sums stay 0.
      const float shift_before = shift;
      shift = largest == -INFINITY ? 0.0f : largest;
      const float correction = sum == 0.0f ? 0.0f : expf(shift_before - shift);
      float tile_sum = 0.0f;
      for (int i = 0; i < Tile::kOwnRows; ++i) {
        const int other = lane + i * kRowLanes;
        const float weight = expf(scores[i] - shift);
        tile_sum += weight;
        weights[row][other] = weight * problem.kept(head, query, key + other);
      }
      sum = sum * correction + row_reduce(tile_sum, Sum{});
      for (float& value : out) value *= correction;
      __syncwarp();
      add_weighted<Tile>(weights[row], v, lane, out);
    }
    if (query >= problem.positions) continue;
    store<Tile>(problem, out, lane, sum == 0.0f ? 0.0f : 1.0f / sum, y + problem.offset(head, query, 1));
    if (lane == 0) log_sums[head * problem.positions + query] = sum == 0.0f ? INFINITY : shift + logf(sum);
  }
}

template <typename Tile, Real T>
void forward_with(Exec exec, const AttentionProblem<T>& problem, T* y, float* log_sums) {
  const int64_t blocks = problem.samples * problem.heads * Tile::count(problem.positions);
  launch(attention_kernel<Tile, T>, blocks_for(blocks, 1), Tile::kThreads, 0, compute_stream(exec), problem,
         y, log_sums);
}

}  // namespace

void attention_forward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y,
                       Tensor log_sums, Tensor workspace) {
  if (spec.engines.forward != nullptr) return engine_forward(exec, spec, inputs, y, log_sums, workspace);
  with_real(y.dtype(), [&]<Real T>(T) {
    const AttentionProblem<T> problem(spec, inputs);
    if constexpr (TwoBytes<T>) {
      if (problem.width <= kMaxTensorCoreWidth)
        return tensor_core_forward(exec, problem, y.data<T>(), log_sums.data<float>());
    } else {
      if (problem.width <= 32)
        return forward_with<TileOf<32>>(exec, problem, y.data<T>(), log_sums.data<float>());
      if (problem.width <= 64)
        return forward_with<TileOf<64>>(exec, problem, y.data<T>(), log_sums.data<float>());
      if (problem.width <= 128)
        return forward_with<TileOf<128>>(exec, problem, y.data<T>(), log_sums.data<float>());
    }
    forward_with<TileOf<256>>(exec, problem, y.data<T>(), log_sums.data<float>());
  });
}

}  // namespace lockstep::cuda
