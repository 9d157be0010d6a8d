#include "src/train/checkpoint/run_state.h"

namespace lockstep {

void RunState::count(double loss, int64_t samples, bool is_finite, const std::vector<double>& output_losses) {
  epoch_samples += samples;
  output_loss_sums.resize(output_losses.size());
  if (is_finite) {
    epoch_loss_sum += loss * static_cast<double>(samples);
    for (size_t k = 0; k < output_losses.size(); ++k)
      output_loss_sums[k] += output_losses[k] * static_cast<double>(samples);
    skipped.in_a_row = 0;
  } else {
    ++skipped.count;
    ++skipped.in_a_row;
    skipped.epoch_samples += samples;
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
