#include "src/device/launch.h"
#include "src/optim/optimizer_kernels.h"

// What needs norms: clipping, LARS and LAMB.

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;
/// Few enough that adding each group's sums to the result costs little: see the end of sum_squares_kernel().
constexpr int64_t kMaxBlocks = 512;
/// Threads that share a block of the flat buffers.
constexpr int kGroup = 16;
constexpr int kPerThread = static_cast<int>(kFlatBlock) / kGroup;

/// Numbers of a step, worked out in double: 1 - 0.999^t has few digits left in float.
struct Lamb {
  float clip, new1, beta2, new2, epsilon, decay;
  float unbias, scale;  ///< 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)

  __device__ float direction(float mean, float square, float decay_of_block, float w) const {
    return mean * unbias / (sqrtf(square) * scale + epsilon) + decay_of_block * w;
  }
};

__device__ float clip_scale_of(const OptimizerUpdate& u) {
  return u.clip_scale == nullptr ? 1.0f : *u.clip_scale;
}

__device__ Lamb lamb_of(const OptimizerUpdate& u) {
  const double t = u.scalars->step;
  Lamb lamb;
  lamb.clip = clip_scale_of(u);
  lamb.new1 = static_cast<float>(1.0 - u.beta1);
  lamb.beta2 = static_cast<float>(u.beta2);
  lamb.new2 = static_cast<float>(1.0 - u.beta2);
  lamb.epsilon = static_cast<float>(u.epsilon);
  lamb.decay = static_cast<float>(u.weight_decay);
  lamb.unbias = static_cast<float>(1.0 / (1.0 - pow(u.beta1, t)));
  lamb.scale = static_cast<float>(1.0 / sqrt(1.0 - pow(u.beta2, t)));
  return lamb;
}

// What is squared. kSums values of each weight; prepare() once a thread block, by all its threads.

struct Gradients {
  static constexpr int kSums = 1;
  static constexpr bool kGuarded = false;  ///< it is what the guard is judged by
  __device__ void prepare(const OptimizerUpdate&) {}
  __device__ int32_t index(const OptimizerUpdate&, int64_t) const { return 0; }
  __device__ void operator()(const OptimizerUpdate& u, int64_t, int64_t flat, int64_t, float* values) const {
    values[0] = u.gradients[flat];
  }
};

struct WeightsAndGradients {
  static constexpr int kSums = 2;
  static constexpr bool kGuarded = true;
  __device__ void prepare(const OptimizerUpdate&) {}
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
  __device__ void prepare(const OptimizerUpdate& u) {
    __shared__ Lamb shared;
    if (threadIdx.x == 0) shared = lamb_of(u);
    __syncthreads();
    lamb = shared;
  }
  __device__ int32_t index(const OptimizerUpdate& u, int64_t block) const { return u.ratio_index(block); }
  __device__ void operator()(const OptimizerUpdate& u, int64_t block, int64_t flat, int64_t own,
                             float* values) const {
    const float g = lamb.clip * u.gradients[flat], w = u.weights[flat];
    float mean = u.state0[own], square = u.state1[own];
    mean += lamb.new1 * (g - mean);
    square = lamb.beta2 * square + lamb.new2 * g * g;
    u.state0[own] = mean;
    u.state1[own] = square;
    values[0] = w;
    values[1] = lamb.direction(mean, square, u.decays(block) ? lamb.decay : 0.0f, w);
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
/// where the parameter changes, so the order in which groups do that changes no bit.
template <typename Values>
__global__ void sum_squares_kernel(OptimizerUpdate u, Values values_of, ExactSum* sums) {
  if (Values::kGuarded && !u.applies()) return;
  values_of.prepare(u);
  const int lane = static_cast<int>(threadIdx.x) % kGroup;
  const unsigned group_mask = 0xffffu << (threadIdx.x % 32 / kGroup * kGroup);
  const int64_t groups = int64_t{gridDim.x} * blockDim.x / kGroup;
  const int64_t group = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kGroup;
  const int64_t end = u.blocks * (group + 1) / groups;
  GroupSum group_sums[Values::kSums];
  int32_t current = -1;
  const auto flush = [&] {
    if (current < 0) return;
    for (int s = 0; s < Values::kSums; ++s) group_sums[s].flush(sums + s * u.ratio_count + current, lane);
  };
  for (int64_t block = u.blocks * group / groups; block < end; ++block) {
    const int32_t index = values_of.index(u, block);
    if (index != current) {
      flush();
      current = index;
    }
    const int64_t flat = u.flat_offset(block) + lane, own = block * kFlatBlock + lane;
    double squares[Values::kSums] = {};
    for (int k = 0; k < kPerThread; ++k) {
      float values[Values::kSums];
      values_of(u, block, flat + k * kGroup, own + k * kGroup, values);
      for (int s = 0; s < Values::kSums; ++s) squares[s] += double{values[s]} * values[s];
    }
    if (index < 0) continue;
    for (int s = 0; s < Values::kSums; ++s) {
      for (int offset = kGroup / 2; offset > 0; offset /= 2)
        squares[s] += __shfl_xor_sync(group_mask, squares[s], offset);
      group_sums[s].add(squares[s], lane);
    }
  }
  flush();
}

template <typename Values>
void sum_squares(Exec exec, const OptimizerUpdate& update, ExactSum* sums) {
  if (update.blocks == 0) return;
  launch(sum_squares_kernel<Values>, blocks_for(update.blocks * kGroup, kBlock, kMaxBlocks), kBlock, 0,
         compute_stream(exec), update, Values{}, sums);
}

__device__ double norm_of(const SumsOfRanks& squares, int64_t index) {
  ExactSum total;
  for (int rank = 0; rank < squares.ranks; ++rank) total.add(squares.sums[rank * squares.stride + index]);
  return sqrt(total.value());
}

__global__ void clip_kernel(SumsOfRanks squares, double clip_norm, float* norm, float* clip_scale) {
  const double length = norm_of(squares, 0);
  if (norm != nullptr) *norm = static_cast<float>(length);
  if (clip_scale == nullptr) return;
  // Written so that a norm that is not a number stays one and reaches the weights, where it is noticed.
  const double scale = clip_norm > 0 ? clip_norm / (length + 1e-6) : 1.0;
  *clip_scale = static_cast<float>(scale > 1.0 ? 1.0 : scale);
}

__global__ void trust_ratios_kernel(OptimizerUpdate u, SumsOfRanks squares) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < u.ratio_count; i += stride) {
    const double of_weights = norm_of(squares, i), other = norm_of(squares, u.ratio_count + i);
    double scaled = other, trust = 1;
    if (u.trust_ratio == TrustRatio::lars) {
      scaled = clip_scale_of(u) * other + u.weight_decay * of_weights;
      trust = u.trust;
    }
    // False for what is no number, which thereby reaches the weights.
    const bool nothing = of_weights == 0 || other == 0;
    u.ratios[i] = nothing ? 1.0f : static_cast<float>(trust * of_weights / scaled);
  }
}

__global__ void lamb_kernel(OptimizerUpdate u) {
  if (!u.applies()) return;
  __shared__ Lamb shared;
  if (threadIdx.x == 0) shared = lamb_of(u);
  __syncthreads();
  const Lamb lamb = shared;
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

void add_squares_of_gradients(Exec exec, const OptimizerUpdate& update, ExactSum* sum) {
  sum_squares<Gradients>(exec, update, sum);
}

void clip(Exec exec, const SumsOfRanks& squares, double clip_norm, float* norm, float* clip_scale) {
  launch(clip_kernel, 1, 1, 0, compute_stream(exec), squares, clip_norm, norm, clip_scale);
}

void add_squares_by_parameter(Exec exec, const OptimizerUpdate& update, ExactSum* sums) {
  if (update.trust_ratio == TrustRatio::lamb)
    sum_squares<WeightsAndDirections>(exec, update, sums);
  else
    sum_squares<WeightsAndGradients>(exec, update, sums);
}

void trust_ratios(Exec exec, const OptimizerUpdate& update, const SumsOfRanks& squares) {
  if (update.ratio_count == 0) return;
  constexpr int kThreads = 32;  // each has much to do, and there are few
  launch(trust_ratios_kernel, blocks_for(update.ratio_count, kThreads), kThreads, 0, compute_stream(exec),
         update, squares);
}

void lamb(Exec exec, const OptimizerUpdate& update) {
  if (update.blocks == 0) return;
  launch(lamb_kernel, blocks_for(update.blocks * kFlatBlock, kBlock, 4096), kBlock, 0, compute_stream(exec),
         update);
}

}  // namespace lockstep::cuda
