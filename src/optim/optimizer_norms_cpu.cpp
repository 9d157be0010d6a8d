#include <algorithm>
#include <cmath>
#include <utility>

#include "src/optim/optimizer_kernels.h"

// What needs norms: clipping, LARS and LAMB.

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

/// The root of a sum over all ranks, which becomes zero.
double take_root(const SumsOfRanks& squares, int64_t index) {
  ExactSum total;
  for (int rank = 0; rank < squares.ranks; ++rank)
    total.add(std::exchange(squares.sums[rank * squares.stride + index], {}));
  return std::sqrt(total.value());
}

/// LAMB's numbers of a step.
struct Lamb {
  float gradient_scale, new1, beta2, new2, epsilon;
  float unbias, scale;  ///< of the mean, and of the root of the square

  explicit Lamb(const OptimizerUpdate& u)
      : gradient_scale(*u.gradient_scale),
        new1(static_cast<float>(1.0 - u.beta1)),
        beta2(static_cast<float>(u.beta2)),
        new2(static_cast<float>(1.0 - u.beta2)),
        epsilon(static_cast<float>(u.epsilon)),
        unbias(u.scalars->unbias_mean),
        scale(u.scalars->unbias_root) {}

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
      const float g = gradient_scale * gradients[i];
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

void add_squares_for_lars(const OptimizerUpdate& u, ExactSum* sums) {
  for (int64_t block = 0; block < u.blocks; ++block) {
    const int32_t index = u.ratio_index(block);
    if (index < 0) continue;
    sums[index].add(sum_of_squares(u.weights + u.flat_offset(block)));
    sums[u.ratio_count + index].add(sum_of_squares(u.gradients + u.flat_offset(block)));
  }
}

}  // namespace

void add_squares_of_gradients(Exec exec, const OptimizerUpdate& u, const SumsOfRanks& squares,
                              const StepJudgement& step) {
  for (int64_t block = 0; block < u.blocks; ++block)
    squares.own()->add(sum_of_squares(u.gradients + u.flat_offset(block)));
  if (squares.ranks == 1) judge_step(exec, u, squares, step);
}

void judge_step(Exec, const OptimizerUpdate& u, const SumsOfRanks& squares, const StepJudgement& step) {
  const float unscale = step.guard->loss_scale.inverse();
  const double norm = take_root(squares, 0) * static_cast<double>(unscale);
  step.verdict->gradient_norm = static_cast<float>(norm);
  // A norm that is not a number must not pass as "no clipping": it has to reach the weights and be noticed.
  const double clip = u.clip_norm > 0 ? u.clip_norm / (norm + 1e-6) : 1.0;
  *u.gradient_scale = static_cast<float>(clip > 1.0 ? 1.0 : clip) * unscale;
  const bool is_finite =
      std::isfinite(*step.loss) && std::all_of(step.statistics, step.statistics + step.statistic_count,
                                               [](float value) { return std::isfinite(value); });
  judge(is_finite, std::isfinite(step.verdict->gradient_norm), step.max_bad, *step.verdict, *step.guard);
}

void add_squares_by_parameter(Exec exec, const OptimizerUpdate& u, const SumsOfRanks& squares) {
  if (!u.applies()) return;
  if (u.trust_ratio == TrustRatio::lamb)
    add_squares_for_lamb(u, squares.own());
  else
    add_squares_for_lars(u, squares.own());
  if (squares.ranks == 1) trust_ratios(exec, u, squares);
}

void trust_ratios(Exec, const OptimizerUpdate& u, const SumsOfRanks& squares) {
  for (int64_t i = 0; i < u.ratio_count; ++i) {
    const double weights = take_root(squares, i);
    const double other = take_root(squares, u.ratio_count + i);
    double ratio = 1;
    if (weights == 0 || other == 0)
      ratio = 1;  // and not when a norm is no number: that has to reach the weights
    else if (u.trust_ratio == TrustRatio::lamb)
      ratio = weights / other;
    else
      ratio = u.trust * weights / (static_cast<double>(*u.gradient_scale) * other + u.weight_decay * weights);
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
