#include <algorithm>
#include <cmath>

#include "src/optim/optimizer_kernels.h"

// What needs norms: clipping, LARS and LAMB. Compiled with -fno-math-errno, as optimizer_cpu.cpp.

namespace lockstep::cpu {

namespace {

/// Of a block, in the order that optimizer_kernels.h gives. Every sum of products is of exact products, so
/// that a compiler which contracts them changes nothing.
double sum_of_squares(const float* values) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  for (int64_t row = 0; row < kFlatBlock; row += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(values[row + lane]);
      lanes[lane] += value * value;
    }
  }
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

double square_root_of_sum(const SumsOfRanks& squares, int64_t index) {
  ExactSum total;
  for (int rank = 0; rank < squares.ranks; ++rank) total.add(squares.sums[rank * squares.stride + index]);
  return std::sqrt(total.value());
}

float clip_scale_of(const OptimizerUpdate& u) { return u.clip_scale == nullptr ? 1.0f : *u.clip_scale; }

/// LAMB's numbers of a step.
struct Lamb {
  float clip, new1, beta2, new2, epsilon;
  float unbias, scale;  ///< 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)

  // In double: 1 - 0.999^t loses all but four digits in float at the first steps.
  explicit Lamb(const OptimizerUpdate& u)
      : clip(clip_scale_of(u)),
        new1(static_cast<float>(1.0 - u.beta1)),
        beta2(static_cast<float>(u.beta2)),
        new2(static_cast<float>(1.0 - u.beta2)),
        epsilon(static_cast<float>(u.epsilon)),
        unbias(static_cast<float>(1.0 / (1.0 - std::pow(u.beta1, u.scalars->step)))),
        scale(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(u.beta2, u.scalars->step)))) {}

  void direction(const OptimizerUpdate& u, int64_t block, float* direction) const {
    const float decay = u.decays(block) ? static_cast<float>(u.weight_decay) : 0.0f;
    const float* const weights = u.weights + u.flat_offset(block);
    const float* const mean = u.state0 + block * kFlatBlock;
    const float* const square = u.state1 + block * kFlatBlock;
#pragma omp simd
    for (int64_t i = 0; i < kFlatBlock; ++i)
      direction[i] = unbias * mean[i] / (std::sqrt(square[i]) * scale + epsilon) + decay * weights[i];
  }

  void update_states(const OptimizerUpdate& u, int64_t block) const {
    const float* const gradients = u.gradients + u.flat_offset(block);
    float* const mean = u.state0 + block * kFlatBlock;
    float* const square = u.state1 + block * kFlatBlock;
#pragma omp simd
    for (int64_t i = 0; i < kFlatBlock; ++i) {
      const float g = clip * gradients[i];
      mean[i] += new1 * (g - mean[i]);
      square[i] = beta2 * square[i] + new2 * g * g;
    }
  }
};

void add_squares_for_lamb(const OptimizerUpdate& u, ExactSum* sums) {
  const Lamb lamb(u);
  float direction[kFlatBlock];
  for (int64_t block = 0; block < u.blocks; ++block) {
    lamb.update_states(u, block);
    const int32_t index = u.ratio_index(block);
    if (index < 0) continue;
    lamb.direction(u, block, direction);
    sums[index].add(sum_of_squares(u.weights + u.flat_offset(block)));
    sums[u.ratio_count + index].add(sum_of_squares(direction));
  }
}

}  // namespace

void add_squares_of_gradients(Exec, const OptimizerUpdate& u, ExactSum* sum) {
  for (int64_t block = 0; block < u.blocks; ++block)
    sum->add(sum_of_squares(u.gradients + u.flat_offset(block)));
}

void clip(Exec, const SumsOfRanks& squares, double clip_norm, float* norm, float* clip_scale) {
  const double result = square_root_of_sum(squares, 0);
  if (norm != nullptr) *norm = static_cast<float>(result);
  if (clip_scale == nullptr) return;
  // A norm that is not a number must not pass as "no clipping": it has to reach the weights and be noticed.
  const double scale = clip_norm > 0 ? clip_norm / (result + 1e-6) : 1.0;
  *clip_scale = static_cast<float>(scale > 1.0 ? 1.0 : scale);
}

void add_squares_by_parameter(Exec, const OptimizerUpdate& u, ExactSum* sums) {
  if (!u.applies()) return;
  if (u.trust_ratio == TrustRatio::lamb) return add_squares_for_lamb(u, sums);
  for (int64_t block = 0; block < u.blocks; ++block) {
    const int32_t index = u.ratio_index(block);
    if (index < 0) continue;
    sums[index].add(sum_of_squares(u.weights + u.flat_offset(block)));
    sums[u.ratio_count + index].add(sum_of_squares(u.gradients + u.flat_offset(block)));
  }
}

void trust_ratios(Exec, const OptimizerUpdate& u, const SumsOfRanks& squares) {
  for (int64_t i = 0; i < u.ratio_count; ++i) {
    const double weights = square_root_of_sum(squares, i);
    const double other = square_root_of_sum(squares, u.ratio_count + i);
    double ratio = 1;
    if (weights == 0 || other == 0)
      ratio = 1;  // and not when a norm is no number: that has to reach the weights
    else if (u.trust_ratio == TrustRatio::lamb)
      ratio = weights / other;
    else
      ratio = u.trust * weights / (static_cast<double>(clip_scale_of(u)) * other + u.weight_decay * weights);
    u.ratios[i] = static_cast<float>(ratio);
  }
}

void lamb(Exec, const OptimizerUpdate& u) {
  if (!u.applies()) return;
  const Lamb lamb(u);
  float direction[kFlatBlock];
  for (int64_t block = 0; block < u.blocks; ++block) {
    lamb.direction(u, block, direction);
    const float rate = u.scalars->lr * u.lr_scale_of(block) * u.ratio(block);
    float* const weights = u.weights + u.flat_offset(block);
#pragma omp simd
    for (int64_t i = 0; i < kFlatBlock; ++i) weights[i] -= rate * direction[i];
    for (int64_t i = 0; i < kFlatBlock; ++i) u.store_rounded(u.flat_offset(block) + i, weights[i]);
  }
}

}  // namespace lockstep::cpu
