#include "src/train/augment/kinds/boxes.h"

#include <algorithm>
#include <cmath>

namespace lockstep {

Patch random_box(const AugmentedSamples& samples, double share, double ratio, RandomStream& random) {
  // Every axis is shortened by the same factor; the ratio then makes the last one longer, and the one before
  // shorter.
  const double factor = std::pow(share, 1.0 / std::max(1, samples.axes));
  const double stretch = samples.axes >= 2 ? std::sqrt(ratio) : 1;
  Patch box;
  for (int a = 0; a < 3; ++a) {
    const int64_t extent = samples.extents[static_cast<size_t>(a)];
    const double stretched = a == 2 ? factor * stretch : a == 1 ? factor / stretch : factor;
    const bool is_missing = a < 3 - samples.axes;
    box.extent[a] =
        is_missing ? 1
                   : std::clamp<int64_t>(std::llround(stretched * static_cast<double>(extent)), 0, extent);
    box.first[a] =
        is_missing ? 0 : int64_t{random.next_below(static_cast<uint32_t>(extent - box.extent[a] + 1))};
  }
  return box;
}

double share_of(const AugmentedSamples& samples, const Patch& box) {
  double share = 1;
  for (size_t a = 0; a < 3; ++a)
    share *= static_cast<double>(box.extent[a]) / static_cast<double>(samples.extents[a]);
  return share;
}

double random_ratio(double max, RandomStream& random) {
  return std::exp((2 * static_cast<double>(random.next_uniform()) - 1) * std::log(max));
}

}  // namespace lockstep
