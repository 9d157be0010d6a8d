#include "src/train/checkpoint/run_state.h"

namespace lockstep {

void RunState::count(const StepMetrics& metrics) {
  epoch_samples += metrics.samples;
  output_loss_sums.resize(metrics.output_losses.size());
  loss_scale = metrics.loss_scale;
  if (metrics.is_finite) {
    epoch_loss_sum += metrics.loss * static_cast<double>(metrics.samples);
    for (size_t k = 0; k < metrics.output_losses.size(); ++k)
      output_loss_sums[k] += metrics.output_losses[k] * static_cast<double>(metrics.samples);
    skipped.in_a_row = 0;
  } else {
    ++skipped.count;
    if (!metrics.overflowed) ++skipped.in_a_row;
    skipped.epoch_samples += metrics.samples;
  }
}

double RunState::epoch_loss() const {
  return epoch_loss_sum / static_cast<double>(epoch_samples - skipped.epoch_samples);
}

std::vector<double> RunState::output_losses() const {
  std::vector<double> losses;
  for (const double sum : output_loss_sums)
    losses.push_back(sum / static_cast<double>(epoch_samples - skipped.epoch_samples));
  return losses;
}

void RunState::start_epoch() {
  epoch_loss_sum = 0;
  output_loss_sums.clear();
  epoch_samples = skipped.epoch_samples = 0;
}

}  // namespace lockstep
