#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/attention/attention_cudnn.h"
#include "src/ops/attention/attention_tensor_core.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kWarp = 32, kDotThreads = 128;

/// What backward reads besides the problem: (N, T, C), and for each row of the scores the logarithm of its
/// sum and the dot product of y and dy.
template <Real T>
struct Backward {
  AttentionProblem<T> problem;
  const T *y, *dy;
  const float *log_sums, *dots;

  /// The probability of a score, before dropout.
  __device__ float probability(int64_t head, int64_t query, int64_t other, float score) const {
    if (!problem.reads(head, query, other)) return 0.0f;
    return expf(score - log_sums[head * problem.positions + query]);
  }
  /// The gradient of a score, from the probability and the gradient of what dropout made of it.
  __device__ float score_gradient(int64_t head, int64_t query, float probability, float gradient) const {
    if (query >= problem.positions) return 0.0f;
    return probability * (gradient - dots[head * problem.positions + query]) * problem.scale;
  }
};

/// One warp computes the dot product of a row of a head.
template <Real T>
__global__ void attention_dots_kernel(AttentionProblem<T> problem, const T* y, const T* dy, float* dots) {
  wait_for_previous_kernel();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t rows = problem.samples * problem.heads * problem.positions;
  const int64_t warps = int64_t{gridDim.x} * (kDotThreads / kWarp);
  for (int64_t row = (int64_t{blockIdx.x} * kDotThreads + threadIdx.x) / kWarp; row < rows; row += warps) {
    const int64_t at = problem.offset(row / problem.positions, row % problem.positions, 1);
    float sum = 0.0f;
    for (int64_t column = lane; column < problem.width; column += kWarp)
      sum = fmaf(y[at + column], dy[at + column], sum);
    for (int offset = kWarp / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    if (lane == 0) dots[row] = sum;
  }
}

/// A block computes the gradient of a tile of queries at a time.
template <typename Tile, Real T>
__global__ void attention_query_gradient_kernel(Backward<T> backward, T* dqkv) {
  wait_for_previous_kernel();
  __shared__ typename Tile::Rows q, k, v, dy;
  __shared__ typename Tile::Scores gradients;
  const AttentionProblem<T>& problem = backward.problem;
  const int row = static_cast<int>(threadIdx.x) / kRowLanes, lane = static_cast<int>(threadIdx.x) % kRowLanes;
  const int64_t tiles = Tile::count(problem.positions), blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t head = block / tiles, first = (tiles - 1 - block % tiles) * Tile::kRows;
    const int64_t query = first + row;
    const int64_t end = problem.causal ? min(problem.positions, first + Tile::kRows) : problem.positions;
    float dq[Tile::kOwnColumns] = {};
    __syncthreads();  // the tiles before may still be read
    load<Tile>(problem, problem.qkv, head, first, 0, 3, q);
    load<Tile>(problem, backward.dy, head, first, 0, 1, dy);
    for (int64_t key = 0; key < end; key += Tile::kRows) {
      __syncthreads();
      load<Tile>(problem, problem.qkv, head, key, 1, 3, k);
      load<Tile>(problem, problem.qkv, head, key, 2, 3, v);
      __syncthreads();
      for (int i = 0; i < Tile::kOwnRows; ++i) {
        const int other = lane + i * kRowLanes;
        const float probability =
            backward.probability(head, query, key + other, dot<Tile>(q[row], k[other]) * problem.scale);
        const float gradient = dot<Tile>(dy[row], v[other]) * problem.kept(head, query, key + other);
        gradients[row][other] = backward.score_gradient(head, query, probability, gradient);
      }
      __syncwarp();
      add_weighted<Tile>(gradients[row], k, lane, dq);
    }
    if (query < problem.positions)
      store<Tile>(problem, dq, lane, 1.0f, dqkv + problem.offset(head, query, 3));
  }
}

/// A block computes the gradients of a tile of keys and of their values at a time, over the queries that read
/// them.
template <typename Tile, Real T>
__global__ void attention_key_gradient_kernel(Backward<T> backward, T* dqkv) {
  wait_for_previous_kernel();
  __shared__ typename Tile::Rows q, k, v, dy;
  __shared__ typename Tile::Scores weights, gradients;
  const AttentionProblem<T>& problem = backward.problem;
  const int row = static_cast<int>(threadIdx.x) / kRowLanes, lane = static_cast<int>(threadIdx.x) % kRowLanes;
  const int64_t tiles = Tile::count(problem.positions), blocks = problem.samples * problem.heads * tiles;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t head = block / tiles, first = block % tiles * Tile::kRows;
    const int64_t key = first + row;
    float dk[Tile::kOwnColumns] = {}, dv[Tile::kOwnColumns] = {};
    __syncthreads();  // the tiles before may still be read
    load<Tile>(problem, problem.qkv, head, first, 1, 3, k);
    load<Tile>(problem, problem.qkv, head, first, 2, 3, v);
    for (int64_t query = problem.causal ? first : 0; query < problem.positions; query += Tile::kRows) {
      __syncthreads();
      load<Tile>(problem, problem.qkv, head, query, 0, 3, q);
      load<Tile>(problem, backward.dy, head, query, 0, 1, dy);
      __syncthreads();
      for (int i = 0; i < Tile::kOwnRows; ++i) {
        const int other = lane + i * kRowLanes;
        const float probability =
            backward.probability(head, query + other, key, dot<Tile>(q[other], k[row]) * problem.scale);
        const float kept = problem.kept(head, query + other, key);
        weights[row][other] = probability * kept;
        gradients[row][other] =
            backward.score_gradient(head, query + other, probability, dot<Tile>(dy[other], v[row]) * kept);
      }
      __syncwarp();
      add_weighted<Tile>(weights[row], dy, lane, dv);
      add_weighted<Tile>(gradients[row], q, lane, dk);
    }
    if (key >= problem.positions) continue;
    T* const to = dqkv + problem.offset(head, key, 3) + problem.channels();
    store<Tile>(problem, dk, lane, 1.0f, to);
    store<Tile>(problem, dv, lane, 1.0f, to + problem.channels());
  }
}

template <typename Tile, Real T>
void backward_with(Exec exec, const Backward<T>& backward, T* dqkv) {
  const AttentionProblem<T>& problem = backward.problem;
  const unsigned blocks = blocks_for(problem.samples * problem.heads * Tile::count(problem.positions), 1);
  launch(attention_query_gradient_kernel<Tile, T>, blocks, Tile::kThreads, 0, compute_stream(exec), backward,
         dqkv);
  launch(attention_key_gradient_kernel<Tile, T>, blocks, Tile::kThreads, 0, compute_stream(exec), backward,
         dqkv);
}

}  // namespace

void attention_backward(Exec exec, const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, Tensor workspace) {
  if (spec.engines.backward != nullptr)
    return engine_backward(exec, spec, inputs, y, log_sums, dy, dqkv, workspace);
  float* const dots = static_cast<float*>(workspace.raw());
  with_real(y.dtype(), [&]<Real T>(T) {
    const Backward<T> backward{AttentionProblem<T>(spec, inputs), y.data<T>(), dy.data<T>(),
                               log_sums.data<float>(), dots};
    const AttentionProblem<T>& problem = backward.problem;
    launch(attention_dots_kernel<T>,
           blocks_for(problem.samples * problem.heads * problem.positions, kDotThreads / kWarp), kDotThreads,
           0, compute_stream(exec), problem, y.data<T>(), dy.data<T>(), dots);
    if constexpr (TwoBytes<T>) {
      if (problem.width <= kMaxTensorCoreWidth)
        return tensor_core_backward(exec, problem, dy.data<T>(), log_sums.data<float>(), dots,
                                    dqkv.data<T>());
    } else {
      if (problem.width <= 32) return backward_with<TileOf<32>>(exec, backward, dqkv.data<T>());
      if (problem.width <= 64) return backward_with<TileOf<64>>(exec, backward, dqkv.data<T>());
      if (problem.width <= 128) return backward_with<TileOf<128>>(exec, backward, dqkv.data<T>());
    }
    backward_with<TileOf<256>>(exec, backward, dqkv.data<T>());
  });
}

}  // namespace lockstep::cuda
