#include "src/device/kernels/last_block.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/optim/optimizer_kernels.h"

// What needs norms: clipping, LARS and LAMB.

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;
/// Few enough that adding each group's sums to the result costs little: see the end of sum_squares_kernel().
constexpr int64_t kMaxBlocks = 512;
/// On one multiprocessor: so many that a large GPU runs all of them together, although the code at the end
/// needs more registers than the sums.
constexpr int kBlocksAtOnce = 4;
/// Threads that share a block of the flat buffers.
constexpr int kGroup = 16;
constexpr int kPerThread = static_cast<int>(kFlatBlock) / kGroup;

/// What LAMB computes with.
struct Lamb {
  float new1, beta2, new2, epsilon, decay;
  // Of the step.
  float gradient_scale;
  float unbias, scale;  ///< of the mean, and of the root of the square

  /// What does not change from step to step, rounded here and not by every thread.
  explicit Lamb(const OptimizerUpdate& u)
      : new1(static_cast<float>(1.0 - u.beta1)),
        beta2(static_cast<float>(u.beta2)),
        new2(static_cast<float>(1.0 - u.beta2)),
        epsilon(static_cast<float>(u.epsilon)),
        decay(static_cast<float>(u.weight_decay)),
        gradient_scale(0),
        unbias(0),
        scale(0) {}

  __device__ void read_step(const OptimizerUpdate& u) {
    gradient_scale = *u.gradient_scale;
    unbias = u.scalars->unbias_mean;
    scale = u.scalars->unbias_root;
  }
  __device__ float direction(float mean, float square, float decay_of_block, float w) const {
    return mean * unbias / (sqrtf(square) * scale + epsilon) + decay_of_block * w;
  }
};

// What is squared: kSums values of each weight.

struct Gradients {
  static constexpr int kSums = 1;
  static constexpr bool kGuarded = false;  ///< it is what the guard is judged by
  __device__ void read_step(const OptimizerUpdate&) {}
  __device__ int32_t index(const OptimizerUpdate&, int64_t) const { return 0; }
  __device__ void operator()(const OptimizerUpdate& u, int64_t, int64_t flat, int64_t, float* values) const {
    values[0] = u.gradients[flat];
  }
};

struct WeightsAndGradients {
  static constexpr int kSums = 2;
  static constexpr bool kGuarded = true;
  __device__ void read_step(const OptimizerUpdate&) {}
  __device__ int32_t index(const OptimizerUpdate& u, int64_t block) const { return u.ratio_index(block); }
  __device__ void operator()(const OptimizerUpdate& u, int64_t, int64_t flat, int64_t, float* values) const {
    values[0] = u.weights[flat];
    values[1] = u.gradients[flat];
  }
};

/// Updates the states as it goes.
struct WeightsAndDirections {
  static constexpr int kSums = 2;
  static constexpr bool kGuarded = true;
  Lamb lamb;
  __device__ void read_step(const OptimizerUpdate& u) { lamb.read_step(u); }
  __device__ int32_t index(const OptimizerUpdate& u, int64_t block) const { return u.ratio_index(block); }
  __device__ void operator()(const OptimizerUpdate& u, int64_t block, int64_t flat, int64_t own,
                             float* values) const {
    const float g = lamb.gradient_scale * u.gradients[flat], w = u.weights[flat];
    float mean = u.state0[own], square = u.state1[own];
    mean += lamb.new1 * (g - mean);
    square = lamb.beta2 * square + lamb.new2 * g * g;
    u.state0[own] = mean;
    u.state1[own] = square;
    values[0] = w;
    values[1] = lamb.direction(mean, square, u.decays(block) ? lamb.decay : 0.0f, w);
  }
};

// What all sums are for, done by one thread block, which makes them zero. words: shared memory.

using SharedWords = uint64_t[ExactSum::kWords];

/// Writes the verdict, the guard and the scale of gradients.
struct Judge {
  StepJudgement step;

  __device__ void operator()(const OptimizerUpdate& u, const SumsOfRanks& squares, SharedWords& words) const {
    if (threadIdx.x < ExactSum::kWords) {
      uint64_t sum = 0;
      for (int rank = 0; rank < squares.ranks; ++rank) {
        uint64_t& word = squares.sums[rank * squares.stride].words[threadIdx.x];
        sum += word;
        word = 0;
      }
      words[threadIdx.x] = sum;
    }
    bool is_bad = threadIdx.x == 0 && !isfinite(*step.loss);
    for (int64_t i = threadIdx.x; i < step.statistic_count; i += blockDim.x)
      if (!isfinite(step.statistics[i])) is_bad = true;
    const bool values_finite = __syncthreads_or(is_bad) == 0;
    if (threadIdx.x != 0) return;
    ExactSum total;
    for (int i = 0; i < ExactSum::kWords; ++i) total.words[i] = words[i];
    const float unscale = step.guard->loss_scale.inverse();
    const double norm = sqrt(total.value()) * unscale;
    step.verdict->gradient_norm = static_cast<float>(norm);
    // Written so that a norm that is not a number stays one and reaches the weights, where it is noticed.
    const double clip = u.clip_norm > 0 ? u.clip_norm / (norm + 1e-6) : 1.0;
    *u.gradient_scale = static_cast<float>(clip > 1.0 ? 1.0 : clip) * unscale;
    judge(values_finite, isfinite(step.verdict->gradient_norm), step.max_bad, *step.verdict, *step.guard);
  }
};

/// Writes the ratios, each by one thread.
struct TrustRatios {
  __device__ void operator()(const OptimizerUpdate& u, const SumsOfRanks& squares, SharedWords&) const {
    for (int64_t i = threadIdx.x; i < u.ratio_count; i += blockDim.x) {
      const double of_weights = take_root(squares, i), other = take_root(squares, u.ratio_count + i);
      double scaled = other, trust = 1;
      if (u.trust_ratio == TrustRatio::lars) {
        scaled = *u.gradient_scale * other + u.weight_decay * of_weights;
        trust = u.trust;
      }
      // False for what is no number, which thereby reaches the weights.
      const bool nothing = of_weights == 0 || other == 0;
      u.ratios[i] = nothing ? 1.0f : static_cast<float>(trust * of_weights / scaled);
    }
  }

 private:
  __device__ static double take_root(const SumsOfRanks& squares, int64_t index) {
    ExactSum total;
    for (int rank = 0; rank < squares.ranks; ++rank) {
      ExactSum& sum = squares.sums[rank * squares.stride + index];
      total.add(sum);
      sum = {};
    }
    return sqrt(total.value());
  }
};

/// The digits of a sum over the threads of a group: thread i holds words i and i + kGroup.
struct GroupSum {
  static_assert(ExactSum::kWords <= 2 * kGroup);
  uint64_t low = 0, high = 0;

  __device__ void add(double term, int lane) {
    low += ExactSum::contribution(term, lane);
    if (lane + kGroup < ExactSum::kWords) high += ExactSum::contribution(term, lane + kGroup);
  }
  /// Adds it to one in global memory, and forgets it.
  __device__ void flush(ExactSum* sum, int lane) {
    add_word(sum, lane, low);
    if (lane + kGroup < ExactSum::kWords) add_word(sum, lane + kGroup, high);
    low = high = 0;
  }

 private:
  __device__ static void add_word(ExactSum* sum, int word, uint64_t value) {
    if (value != 0) atomicAdd(reinterpret_cast<unsigned long long*>(sum->words + word), value);
  }
};

/// Each group of threads adds the squares of neighbouring blocks in registers. Integers go to global memory
/// where the parameter changes, so the order in which groups do that changes no bit. With one rank, the last
/// thread block has all sums.
template <typename Values, typename Finish>
__global__ void __launch_bounds__(kBlock, kBlocksAtOnce)
    sum_squares_kernel(OptimizerUpdate u, Values values_of, SumsOfRanks squares, Finish finish,
                       unsigned* counter) {
  wait_for_previous_kernel();
  __shared__ SharedWords words;
  if (Values::kGuarded && !u.applies()) return;
  values_of.read_step(u);
  const int lane = static_cast<int>(threadIdx.x) % kGroup;
  const unsigned group_mask = 0xffffu << (threadIdx.x % 32 / kGroup * kGroup);
  const int64_t groups = int64_t{gridDim.x} * blockDim.x / kGroup;
  const int64_t group = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kGroup;
  const int64_t end = u.blocks * (group + 1) / groups;
  GroupSum group_sums[Values::kSums];
  int32_t current = -1;
  const auto flush = [&] {
    if (current < 0) return;
    for (int s = 0; s < Values::kSums; ++s)
      group_sums[s].flush(squares.own() + s * u.ratio_count + current, lane);
  };
  for (int64_t block = u.blocks * group / groups; block < end; ++block) {
    const int32_t index = values_of.index(u, block);
    if (index != current) {
      flush();
      current = index;
    }
    const int64_t flat = u.flat_offset(block) + lane, own = block * kFlatBlock + lane;
    double terms[Values::kSums] = {};
    for (int k = 0; k < kPerThread; ++k) {
      float values[Values::kSums];
      values_of(u, block, flat + k * kGroup, own + k * kGroup, values);
      for (int s = 0; s < Values::kSums; ++s) terms[s] += double{values[s]} * values[s];
    }
    if (index < 0) continue;
    for (int s = 0; s < Values::kSums; ++s) {
      for (int offset = kGroup / 2; offset > 0; offset /= 2)
        terms[s] += __shfl_xor_sync(group_mask, terms[s], offset);
      group_sums[s].add(terms[s], lane);
    }
  }
  flush();
  if (squares.ranks == 1 && is_last_block(counter)) finish(u, squares, words);
}

/// With sums gathered from several ranks. One thread block.
template <typename Finish>
__global__ void finish_kernel(OptimizerUpdate u, SumsOfRanks squares, Finish finish) {
  wait_for_previous_kernel();
  __shared__ SharedWords words;
  finish(u, squares, words);
}

template <typename Values, typename Finish>
void sum_squares(Exec exec, const OptimizerUpdate& update, Values values_of, const SumsOfRanks& squares,
                 Finish finish_with) {
  launch(sum_squares_kernel<Values, Finish>, blocks_for(update.blocks * kGroup, kBlock, kMaxBlocks), kBlock,
         0, compute_stream(exec), update, values_of, squares, finish_with, block_counter(exec));
}

template <typename Finish>
void finish(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares, Finish finish_with) {
  launch(finish_kernel<Finish>, 1, kBlock, 0, compute_stream(exec), update, squares, finish_with);
}

__global__ void lamb_kernel(OptimizerUpdate u, Lamb lamb) {
  wait_for_previous_kernel();
  if (!u.applies()) return;
  lamb.read_step(u);
  const float lr = u.scalars->lr;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < u.blocks * kFlatBlock; i += stride) {
    const int64_t block = i / kFlatBlock;
    const int64_t flat = u.flat_offset(block) + i % kFlatBlock;
    float& w = u.weights[flat];
    const float direction = lamb.direction(u.state0[i], u.state1[i], u.decays(block) ? lamb.decay : 0.0f, w);
    w -= lr * u.lr_scale_of(block) * u.ratio(block) * direction;
    u.store_rounded(flat, w);
  }
}

}  // namespace

void add_squares_of_gradients(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                              const StepJudgement& step) {
  sum_squares(exec, update, Gradients{}, squares, Judge{step});
}

void judge_step(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares,
                const StepJudgement& step) {
  finish(exec, update, squares, Judge{step});
}

void add_squares_by_parameter(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares) {
  if (update.trust_ratio == TrustRatio::lamb)
    sum_squares(exec, update, WeightsAndDirections{Lamb(update)}, squares, TrustRatios{});
  else
    sum_squares(exec, update, WeightsAndGradients{}, squares, TrustRatios{});
}

void trust_ratios(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares) {
  finish(exec, update, squares, TrustRatios{});
}

void lamb(Exec exec, const OptimizerUpdate& update) {
  if (update.blocks == 0) return;
  launch(lamb_kernel, blocks_for(update.blocks * kFlatBlock, kBlock, 4096), kBlock, 0, compute_stream(exec),
         update, Lamb(update));
}

}  // namespace lockstep::cuda
