#include "src/train/augment/kinds.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace lockstep {

const std::vector<AugmentKind>& augment_kinds() {
  static const std::vector<AugmentKind> kinds = {
      augmentations::flip(),         augmentations::vertical_flip(), augmentations::depth_flip(),
      augmentations::crop(),         augmentations::resized_crop(),  augmentations::rotate90(),
      augmentations::permute_axes(), augmentations::time_shift(),    augmentations::color_jitter(),
      augmentations::erase(),        augmentations::noise(),         augmentations::mixup(),
      augmentations::cutmix(),
  };
  return kinds;
}

const AugmentKind& augment_kind(const std::string& name) {
  const auto found = std::ranges::find(augment_kinds(), name, &AugmentKind::name);
  INVARIANT(found != augment_kinds().end(), "unknown augmentation '{}'", name);
  return *found;
}

std::vector<std::string> augment_names() {
  std::vector<std::string> names;
  for (const AugmentKind& kind : augment_kinds()) names.push_back(kind.name);
  return names;
}

std::string describe_augmentation(const AugmentSpec& spec) {
  std::vector<std::string> options;
  for (const AugmentOption& option : augment_kind(spec.name).options) {
    const auto given = spec.options.find(option.name);
    options.push_back(
        fmt::format("{} {}", option.name, given == spec.options.end() ? option.standard : given->second));
  }
  return options.empty() ? spec.name : fmt::format("{} ({})", spec.name, fmt::join(options, ", "));
}

Shape augmented_shape(const std::vector<AugmentSpec>& specs, Shape shape) {
  for (const AugmentSpec& spec : specs) {
    const int64_t size = augment_kind(spec.name).make(spec.options)->size();
    if (size == 0) continue;
    if (shape.rank() < 3)
      refuse_augmentation(
          spec.name.c_str(),
          "samples of shape {} may be images or signals; size needs an axis of channels: store "
          "images as (N, H, W, C).",
          to_string(shape));
    for (int axis = 0; axis < shape.rank() - 1; ++axis) shape[axis] = size;
  }
  return shape;
}

}  // namespace lockstep
