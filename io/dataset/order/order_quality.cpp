#include "io/dataset/order/order_quality.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lockstep {

OrderQuality measure_order(const Order& order, const Dataset& dataset, int64_t global_batch, uint64_t seed) {
  constexpr int64_t kBatches = 2000;
  const Sampler sampler(seed, dataset.size(), global_batch, order);
  const auto size = static_cast<double>(dataset.size());
  const std::vector<int64_t> targets = dataset.class_targets();
  const bool has_labels = !targets.empty() && dataset.y_shape().rank() == 0;

  const int64_t steps = sampler.steps_per_epoch(), looked_at = std::min(kBatches, steps);
  double distances = 0, variances = 0;
  int64_t samples = 0, batches = 0;
  std::vector<int64_t> counts(targets.size());
  for (int64_t i = 0; i < looked_at; ++i) {
    const int64_t step = i * steps / looked_at;
    std::ranges::fill(counts, 0);
    for (int64_t slot = 0; slot < sampler.valid(step); ++slot, ++samples) {
      const int64_t sample = sampler.sample(0, step, slot);
      distances += std::abs(static_cast<double>(step * global_batch + slot - sample)) / size;
      if (!has_labels) continue;
      if (const int64_t label = dataset.label(sample); label >= 0) ++counts[static_cast<size_t>(label)];
    }
    if (!has_labels || sampler.valid(step) < global_batch) continue;
    // Pearson's chi-square over its mean, for samples drawn without replacement.
    double chi_square = 0;
    int64_t classes = 0;
    for (size_t c = 0; c < counts.size(); ++c) {
      const double expected = static_cast<double>(targets[c]) * static_cast<double>(global_batch) / size;
      if (targets[c] == 0) continue;
      ++classes;
      chi_square += std::pow(static_cast<double>(counts[c]) - expected, 2) / expected;
    }
    const double mean =
        static_cast<double>(classes - 1) * (size - static_cast<double>(global_batch)) / (size - 1);
    if (mean <= 0) continue;
    variances += chi_square / mean;
    ++batches;
  }
  // Two places drawn at random are a third of the whole apart.
  return {.distance = samples == 0 ? 0 : 3 * distances / static_cast<double>(samples),
          .label_variance = batches == 0 ? 0 : variances / static_cast<double>(batches)};
}

}  // namespace lockstep
