#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/optim/optimizer_kernels.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;
/// Few enough that what a thread reads at its start is soon repaid.
constexpr int64_t kMaxBlocks = 1024;

/// Four neighbouring floats, read and written at once. They share a kFlatBlock, and so their weight decay.
struct alignas(16) Four {
  float value[4];
};
constexpr int64_t kFoursInBlock = kFlatBlock / 4;

/// What a rule computes with.
struct Step {
  float gradient_scale;  ///< times the gradient
  float l2, kept;        ///< where weight decay applies: times w into the gradient, and times w
  float lr, epsilon;
  float momentum;
  float beta2, new1, new2;  ///< Adam's beta2, 1 - beta1, 1 - beta2
  float rate, scale;        ///< Adam's lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)
  float alpha, fresh;       ///< RMSProp's alpha and 1 - alpha
};

/// What does not change from step to step, rounded here and not by every thread.
Step constants_of(const OptimizerUpdate& u) {
  Step step{};
  step.l2 = u.decoupled ? 0.0f : static_cast<float>(u.weight_decay);
  step.epsilon = static_cast<float>(u.epsilon);
  step.momentum = static_cast<float>(u.momentum);
  step.beta2 = static_cast<float>(u.beta2);
  step.new1 = static_cast<float>(1.0 - u.beta1);
  step.new2 = static_cast<float>(1.0 - u.beta2);
  step.alpha = static_cast<float>(u.alpha);
  step.fresh = static_cast<float>(1.0 - u.alpha);
  return step;
}

__device__ Step step_of(const OptimizerUpdate& u, Step step) {
  step.gradient_scale = *u.gradient_scale;
  step.lr = u.scalars->lr;
  step.kept = u.decoupled ? static_cast<float>(1.0 - double{step.lr} * u.weight_decay) : 1.0f;
  step.rate = u.scalars->unbiased_lr;
  step.scale = u.scalars->unbias_root;
  return step;
}

// One rule each: kStates says how many of the two states it keeps; it returns the new weight.

struct Sgd {
  static constexpr int kStates = 0;
  __device__ float operator()(const Step& step, float w, float g, float&, float&) const {
    return w - step.lr * g;
  }
};

struct LarsMomentum {
  static constexpr int kStates = 1;
  __device__ float operator()(const Step& step, float w, float g, float& velocity, float&) const {
    velocity = step.momentum * velocity + step.lr * g;
    return w - velocity;
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

/// The numbers of a block whose learning rate is scaled.
__device__ inline Step scaled(const OptimizerUpdate& u, const Step& step, float scale) {
  Step result = step;
  result.lr *= scale;
  result.rate *= scale;
  if (u.decoupled)
    result.kept = static_cast<float>(1.0 - double{scale} * double{u.scalars->lr} * u.weight_decay);
  return result;
}

template <typename T>
__device__ void store_rounded(T* destination, const Four& w) {
  struct alignas(8) Rounded {
    T value[4];
  };
  *reinterpret_cast<Rounded*>(destination) = {{T(w.value[0]), T(w.value[1]), T(w.value[2]), T(w.value[3])}};
}

template <typename Rule>
__global__ void update_kernel(OptimizerUpdate u, Step constants, Rule rule) {
  wait_for_previous_kernel();
  if (!u.applies()) return;
  const Step whole = step_of(u, constants);
  Four* const state0 = reinterpret_cast<Four*>(u.state0);
  Four* const state1 = reinterpret_cast<Four*>(u.state1);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < u.blocks * kFoursInBlock;
       i += stride) {
    const int64_t block = i / kFoursInBlock;
    const Step step = u.lr_scale == nullptr ? whole : scaled(u, whole, u.lr_scale[block]);
    const float l2 = u.decays(block) ? step.l2 : 0.0f, kept = u.decays(block) ? step.kept : 1.0f;
    const float ratio = u.ratio(block);
    const int64_t offset = u.flat_offset(block) + i % kFoursInBlock * 4;
    Four* const weights = reinterpret_cast<Four*>(u.weights + offset);
    const Four g = *reinterpret_cast<const Four*>(u.gradients + offset);
    Four w = *weights, first{}, second{};
    if constexpr (Rule::kStates >= 1) first = state0[i];
    if constexpr (Rule::kStates >= 2) second = state1[i];
    for (int e = 0; e < 4; ++e)
      w.value[e] = rule(step, kept * w.value[e], ratio * (step.gradient_scale * g.value[e] + l2 * w.value[e]),
                        first.value[e], second.value[e]);
    *weights = w;
    if (u.bf16_weights != nullptr) store_rounded(u.bf16_weights + offset, w);
    if (u.f16_weights != nullptr) store_rounded(u.f16_weights + offset, w);
    if constexpr (Rule::kStates >= 1) state0[i] = first;
    if constexpr (Rule::kStates >= 2) state1[i] = second;
  }
}

template <typename Rule>
void update_with(Rule rule, Exec exec, const OptimizerUpdate& update) {
  if (update.blocks == 0) return;
  launch(update_kernel<Rule>, blocks_for(update.blocks * kFoursInBlock, kBlock, kMaxBlocks), kBlock, 0,
         compute_stream(exec), update, constants_of(update), rule);
}

}  // namespace

void sgd(Exec exec, const OptimizerUpdate& update) {
  if (update.state0 == nullptr) return update_with(Sgd{}, exec, update);
  if (update.nesterov) return update_with(SgdMomentum<true>{}, exec, update);
  update_with(SgdMomentum<false>{}, exec, update);
}

void lars(Exec exec, const OptimizerUpdate& update) {
  if (update.state0 == nullptr) return sgd(exec, update);
  update_with(LarsMomentum{}, exec, update);
}

void adam(Exec exec, const OptimizerUpdate& update) { update_with(Adam{}, exec, update); }

void adagrad(Exec exec, const OptimizerUpdate& update) { update_with(Adagrad{}, exec, update); }

void rmsprop(Exec exec, const OptimizerUpdate& update) {
  if (update.state1 == nullptr) return update_with(RmsProp<false>{}, exec, update);
  update_with(RmsProp<true>{}, exec, update);
}

}  // namespace lockstep::cuda
