#include "src/train/checkpoint/run_state.h"

namespace lockstep {

void RunState::count(double loss, int64_t samples, bool is_finite) {
  epoch_samples += samples;
  if (is_finite) {
    epoch_loss_sum += loss * static_cast<double>(samples);
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

void RunState::start_epoch() {
  epoch_loss_sum = 0;
  epoch_samples = skipped.epoch_samples = 0;
}

}  // namespace lockstep
