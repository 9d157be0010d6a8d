#include "src/train/augment/augmentation.h"

#include "src/core/counted.h"

namespace lockstep {

AugmentedSamples resized(AugmentedSamples samples, int64_t size) {
  if (size == 0) return samples;
  for (int a = 0; a < samples.axes; ++a) {
    samples.shape[a] = size;
    samples.extents[static_cast<size_t>(3 - samples.axes + a)] = size;
  }
  return samples;
}

void then(Placement& placement, const Placement& next) {
  const Placement before = placement;
  for (size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<size_t>(next.axis[a]);
    placement.axis[a] = before.axis[axis];
    placement.start[a] = before.start[axis] + ((before.step[axis] * next.start[a]) >> kPositionBits);
    placement.step[a] = (before.step[axis] * next.step[a]) >> kPositionBits;
  }
}

Patch whole_patch(const AugmentedSamples& samples, int64_t partner) {
  return {.partner = partner, .extent = {samples.extents[0], samples.extents[1], samples.extents[2]}};
}

std::string in_words(const AugmentedSamples& samples) {
  if (samples.axes == 0) return fmt::format("vectors of {}", counted(samples.channels, "value"));
  return fmt::format("samples of shape {}", to_string(samples.shape));
}

}  // namespace lockstep
