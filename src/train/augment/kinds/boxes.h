#pragma once

#include "src/train/augment/augmentation.h"

namespace lockstep {

/// A box with a share of the volume of a sample, at a random place inside. ratio: of the width to the height,
/// relative to the sample's.
Patch random_box(const AugmentedSamples& samples, double share, double ratio, RandomStream& random);

/// The share of the sample that a box covers.
double share_of(const AugmentedSamples& samples, const Patch& box);

/// A number whose logarithm is uniform in [-log(max), log(max)].
double random_ratio(double max, RandomStream& random);

}  // namespace lockstep
