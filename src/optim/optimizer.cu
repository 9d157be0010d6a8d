#include "src/device/block_reduce.h"
#include "src/device/launch.h"
#include "src/optim/optimizer_kernels.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;
/// Few enough that what a block works out for itself at its start is soon repaid.
constexpr int64_t kMaxBlocks = 1024;

/// Four neighbouring floats, read and written at once. They share a kFlatBlock, and so their weight decay.
struct alignas(16) Four {
  float value[4];
};

/// The numbers of this step, worked out in double once a block: 1 - 0.999^t has few digits left in float.
struct Step {
  float clip;      ///< times the gradient
  float l2, kept;  ///< where weight decay applies: times w into the gradient, and times w
  float lr, epsilon;
  float momentum;
  float beta2, new1, new2;  ///< Adam's beta2, 1 - beta1, 1 - beta2
  float rate, scale;        ///< Adam's lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)
  float alpha, fresh;       ///< RMSProp's alpha and 1 - alpha
};

__device__ Step step_of(const OptimizerUpdate& u) {
  const double lr = u.scalars->lr;
  Step step{};
  step.clip = u.clip_scale == nullptr ? 1.0f : *u.clip_scale;
  step.l2 = u.decoupled ? 0.0f : static_cast<float>(u.weight_decay);
  step.kept = u.decoupled ? static_cast<float>(1.0 - lr * u.weight_decay) : 1.0f;
  step.lr = u.scalars->lr;
  step.epsilon = static_cast<float>(u.epsilon);
  step.momentum = static_cast<float>(u.momentum);
  step.alpha = static_cast<float>(u.alpha);
  step.fresh = static_cast<float>(1.0 - u.alpha);
  if (u.rule == OptimizerUpdate::Rule::adam) {
    const double t = u.scalars->step;
    step.beta2 = static_cast<float>(u.beta2);
    step.new1 = static_cast<float>(1.0 - u.beta1);
    step.new2 = static_cast<float>(1.0 - u.beta2);
    step.rate = static_cast<float>(lr / (1.0 - pow(u.beta1, t)));
    step.scale = static_cast<float>(1.0 / sqrt(1.0 - pow(u.beta2, t)));
  }
  return step;
}

// One rule each: kStates says how many of the two states it keeps; it returns the new weight.

struct Sgd {
  static constexpr int kStates = 0;
  __device__ float operator()(const Step& step, float w, float g, float&, float&) const {
    return w - step.lr * g;
  }
};

template <bool kNesterov>
struct SgdMomentum {
  static constexpr int kStates = 1;
  __device__ float operator()(const Step& step, float w, float g, float& velocity, float&) const {
    velocity = step.momentum * velocity + g;
    return w - step.lr * (kNesterov ? g + step.momentum * velocity : velocity);
  }
};

struct Adam {
  static constexpr int kStates = 2;
  __device__ float operator()(const Step& step, float w, float g, float& mean, float& square) const {
    mean += step.new1 * (g - mean);
    square = step.beta2 * square + step.new2 * g * g;
    return w - step.rate * mean / (sqrtf(square) * step.scale + step.epsilon);
  }
};

struct Adagrad {
  static constexpr int kStates = 1;
  __device__ float operator()(const Step& step, float w, float g, float& sum, float&) const {
    sum += g * g;
    return w - step.lr * g / (sqrtf(sum) + step.epsilon);
  }
};

template <bool kMomentum>
struct RmsProp {
  static constexpr int kStates = kMomentum ? 2 : 1;
  __device__ float operator()(const Step& step, float w, float g, float& square, float& velocity) const {
    square = step.alpha * square + step.fresh * g * g;
    const float direction = g / (sqrtf(square) + step.epsilon);
    if (!kMomentum) return w - step.lr * direction;
    velocity = step.momentum * velocity + direction;
    return w - step.lr * velocity;
  }
};

template <typename Rule>
__global__ void update_kernel(OptimizerUpdate u, Rule rule) {
  __shared__ Step shared_step;
  if (threadIdx.x == 0) shared_step = step_of(u);
  __syncthreads();
  const Step step = shared_step;
  Four* const weights = reinterpret_cast<Four*>(u.weights);
  const Four* const gradients = reinterpret_cast<const Four*>(u.gradients);
  Four* const state0 = reinterpret_cast<Four*>(u.state0);
  Four* const state1 = reinterpret_cast<Four*>(u.state1);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < u.size / 4; i += stride) {
    const bool decays = u.decay != nullptr && u.decay[i / (kFlatBlock / 4)] != 0;
    const float l2 = decays ? step.l2 : 0.0f, kept = decays ? step.kept : 1.0f;
    const Four g = gradients[i];
    Four w = weights[i], first{}, second{};
    if constexpr (Rule::kStates >= 1) first = state0[i];
    if constexpr (Rule::kStates >= 2) second = state1[i];
    for (int e = 0; e < 4; ++e)
      w.value[e] = rule(step, kept * w.value[e], step.clip * g.value[e] + l2 * w.value[e], first.value[e],
                        second.value[e]);
    weights[i] = w;
    if constexpr (Rule::kStates >= 1) state0[i] = first;
    if constexpr (Rule::kStates >= 2) state1[i] = second;
  }
}

__global__ void sum_of_squares_kernel(const float* gradients, int64_t n, double* partial) {
  __shared__ double shared[kBlock / 32];
  double sum = 0;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    sum += double{gradients[i]} * gradients[i];
  sum = block_reduce(sum, Sum{}, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void norm_kernel(const double* partial, int64_t count, double clip_norm, float* norm,
                            float* clip_scale) {
  __shared__ double shared[kBlock / 32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += partial[i];
  sum = block_reduce(sum, Sum{}, shared);
  if (threadIdx.x != 0) return;
  const double result = sqrt(sum);
  if (norm != nullptr) *norm = static_cast<float>(result);
  if (clip_scale == nullptr) return;
  // Written so that a norm that is not a number stays one and reaches the weights, where it is noticed.
  const double scale = clip_norm > 0 ? clip_norm / (result + 1e-6) : 1.0;
  *clip_scale = static_cast<float>(scale > 1.0 ? 1.0 : scale);
}

}  // namespace

void optimizer_update(Exec exec, const OptimizerUpdate& update) {
  if (update.size == 0) return;
  const auto run = [&](auto rule) {
    launch(update_kernel<decltype(rule)>, blocks_for(update.size / 4, kBlock, kMaxBlocks), kBlock, 0,
           compute_stream(exec), update, rule);
  };
  switch (update.rule) {
    case OptimizerUpdate::Rule::sgd:
      if (update.state0 == nullptr) return run(Sgd{});
      return update.nesterov ? run(SgdMomentum<true>{}) : run(SgdMomentum<false>{});
    case OptimizerUpdate::Rule::adam:
      return run(Adam{});
    case OptimizerUpdate::Rule::adagrad:
      return run(Adagrad{});
    case OptimizerUpdate::Rule::rmsprop:
      return update.state1 != nullptr ? run(RmsProp<true>{}) : run(RmsProp<false>{});
  }
}

void gradient_norm(Exec exec, const float* gradients, int64_t n, double clip_norm, double* scratch,
                   float* norm, float* clip_scale) {
  const unsigned blocks = n == 0 ? 0 : blocks_for(n, 8 * kBlock, kNormScratch);
  if (blocks > 0)
    launch(sum_of_squares_kernel, blocks, kBlock, 0, compute_stream(exec), gradients, n, scratch);
  launch(norm_kernel, 1, kBlock, 0, compute_stream(exec), scratch, blocks, clip_norm, norm, clip_scale);
}

}  // namespace lockstep::cuda
