#pragma once

#include <string>
#include <vector>

#include "src/train/augment/augment_spec.h"
#include "src/train/augment/description.h"

namespace lockstep {

/// All kinds of augmentations, in the order of the documentation.
const std::vector<AugmentKind>& augment_kinds();
/// Throws Error(bug) for an unknown name.
const AugmentKind& augment_kind(const std::string& name);
std::vector<std::string> augment_names();

/// "crop (padding 4)": an entry with all of its options, for the log.
std::string describe_augmentation(const AugmentSpec& spec);

/// The shape of samples after augmentation, channels-last. Throws Error(usage) if their axes are not clear.
Shape augmented_shape(const std::vector<AugmentSpec>& specs, Shape shape);

namespace augmentations {

AugmentKind flip();
AugmentKind vertical_flip();
AugmentKind depth_flip();
AugmentKind crop();
AugmentKind resized_crop();
AugmentKind rotate90();
AugmentKind permute_axes();
AugmentKind time_shift();
AugmentKind color_jitter();
AugmentKind erase();
AugmentKind noise();
AugmentKind mixup();
AugmentKind cutmix();

}  // namespace augmentations

}  // namespace lockstep
