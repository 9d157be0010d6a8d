#include <algorithm>
#include <cmath>

#include "src/optim/optimizer_kernels.h"

namespace lockstep::cpu {

namespace {

/// w = element(i, w, g, rate) for every weight if the step applies, with g scaled, clipped and decayed, and
/// rate times the block's lr_scale; i counts the weights of this update. One block of the flat layout has one
/// weight decay, ratio and lr_scale, so the loop inside has no branch and no changing factor: it runs at the
/// speed of memory.
template <typename Element>
void for_each_element(const OptimizerUpdate& u, float rate, Element element) {
  if (!u.applies()) return;
  const float gradient_scale = *u.gradient_scale;
  const float decay = static_cast<float>(u.weight_decay);
  const auto lr = static_cast<double>(u.scalars->lr);
  for (int64_t block = 0; block < u.blocks; ++block) {
    const float l2 = u.decays(block) && !u.decoupled ? decay : 0.0f;
    const float scale = u.lr_scale_of(block), scaled_rate = rate * scale;
    const float kept = u.decays(block) && u.decoupled
                           ? static_cast<float>(1.0 - static_cast<double>(scale) * lr * u.weight_decay)
                           : 1.0f;
    const float ratio = u.ratio(block);
    float* const weights = u.weights + u.flat_offset(block);
    const float* const gradients = u.gradients + u.flat_offset(block);
#pragma omp simd
    for (int64_t i = 0; i < kFlatBlock; ++i) {
      const float w = weights[i];
      weights[i] = element(block * kFlatBlock + i, kept * w, ratio * (gradient_scale * gradients[i] + l2 * w),
                           scaled_rate);
    }
    for (int64_t i = 0; i < kFlatBlock; ++i) u.store_rounded(u.flat_offset(block) + i, weights[i]);
  }
}

}  // namespace

void sgd(Exec, const OptimizerUpdate& u) {
  const float momentum = static_cast<float>(u.momentum);
  float* const velocity = u.state0;
  if (velocity == nullptr) {
    for_each_element(u, u.scalars->lr, [](int64_t, float w, float g, float lr) { return w - lr * g; });
  } else if (u.nesterov) {
    for_each_element(u, u.scalars->lr, [=](int64_t i, float w, float g, float lr) {
      const float v = velocity[i] = momentum * velocity[i] + g;
      return w - lr * (g + momentum * v);
    });
  } else {
    for_each_element(u, u.scalars->lr, [=](int64_t i, float w, float g, float lr) {
      const float v = velocity[i] = momentum * velocity[i] + g;
      return w - lr * v;
    });
  }
}

void lars(Exec exec, const OptimizerUpdate& u) {
  const float momentum = static_cast<float>(u.momentum);
  float* const velocity = u.state0;
  if (velocity == nullptr) return sgd(exec, u);
  for_each_element(u, u.scalars->lr, [=](int64_t i, float w, float g, float lr) {
    const float v = velocity[i] = momentum * velocity[i] + lr * g;
    return w - v;
  });
}

void adam(Exec, const OptimizerUpdate& u) {
  const float scale = u.scalars->unbias_root;
  const float new1 = static_cast<float>(1.0 - u.beta1), epsilon = static_cast<float>(u.epsilon);
  const float beta2 = static_cast<float>(u.beta2), new2 = static_cast<float>(1.0 - u.beta2);
  float* const mean = u.state0;
  float* const square = u.state1;
  for_each_element(u, u.scalars->unbiased_lr, [=](int64_t i, float w, float g, float scaled_rate) {
    const float m = mean[i] += new1 * (g - mean[i]);
    const float v = square[i] = beta2 * square[i] + new2 * g * g;
    return w - scaled_rate * m / (std::sqrt(v) * scale + epsilon);
  });
}

void adagrad(Exec, const OptimizerUpdate& u) {
  const float epsilon = static_cast<float>(u.epsilon);
  float* const sum = u.state0;
  for_each_element(u, u.scalars->lr, [=](int64_t i, float w, float g, float lr) {
    const float s = sum[i] += g * g;
    return w - lr * g / (std::sqrt(s) + epsilon);
  });
}

void rmsprop(Exec, const OptimizerUpdate& u) {
  const float epsilon = static_cast<float>(u.epsilon), momentum = static_cast<float>(u.momentum);
  const float alpha = static_cast<float>(u.alpha), fresh = static_cast<float>(1.0 - u.alpha);
  float* const square = u.state0;
  float* const velocity = u.state1;
  const auto direction = [=](int64_t i, float g) {
    const float s = square[i] = alpha * square[i] + fresh * g * g;
    return g / (std::sqrt(s) + epsilon);
  };
  if (velocity == nullptr) {
    for_each_element(u, u.scalars->lr,
                     [=](int64_t i, float w, float g, float lr) { return w - lr * direction(i, g); });
  } else {
    for_each_element(u, u.scalars->lr, [=](int64_t i, float w, float g, float lr) {
      const float v = velocity[i] = momentum * velocity[i] + direction(i, g);
      return w - lr * v;
    });
  }
}

}  // namespace lockstep::cpu
