#include <algorithm>
#include <utility>

#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct NoAugmentOptions {};

/// Turns by 0, 90, 180 or 270 degrees in the plane of height and width.
class Rotate90 final : public Augmentation {
 public:
  explicit Rotate90(const NoAugmentOptions&) {}

  AugmentPass pass() const override { return AugmentPass::resample; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes < 2)
      refuse_augmentation("rotate90", "{} have no height and width. Remove it.", in_words(samples));
    if (samples.extents[1] != samples.extents[2])
      refuse_augmentation("rotate90", "{} are not square, so that a turn by 90 degrees changes their shape.",
                          in_words(samples));
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    const int64_t last = (samples.extents[1] - 1) * kPositionOne;
    // One turn: the row h of the result is the column h, counted from the right, of the sample.
    const Placement quarter{
        .axis = {0, 2, 1}, .start = {0, last, 0}, .step = {kPositionOne, -kPositionOne, kPositionOne}};
    for (uint32_t turns = random.next_below(4); turns > 0; --turns) then(draw.placement, quarter);
  }
};

/// Exchanges the spatial axes at random.
class PermuteAxes final : public Augmentation {
 public:
  explicit PermuteAxes(const NoAugmentOptions&) {}

  AugmentPass pass() const override { return AugmentPass::resample; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes < 2)
      refuse_augmentation("permute_axes", "{} have no axes to exchange. Remove it.", in_words(samples));
    const auto first = samples.extents.end() - samples.axes;
    if (std::any_of(first, samples.extents.end(), [&](int64_t extent) { return extent != *first; }))
      refuse_augmentation("permute_axes",
                          "the axes of {} differ in length, so that they cannot be exchanged.",
                          in_words(samples));
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    Placement exchanged;
    // Fisher and Yates's shuffle.
    for (int a = 3 - samples.axes; a < 2; ++a)
      std::swap(exchanged.axis[a],
                exchanged.axis[a + static_cast<int>(random.next_below(static_cast<uint32_t>(3 - a)))]);
    then(draw.placement, exchanged);
  }
};

}  // namespace

AugmentKind augmentations::rotate90() {
  return describe<Rotate90, NoAugmentOptions>(
      "rotate90", "turns by 0, 90, 180 or 270 degrees in the plane of height and width", {});
}
AugmentKind augmentations::permute_axes() {
  return describe<PermuteAxes, NoAugmentOptions>("permute_axes",
                                                 "exchanges the axes of squares and cubes at random", {});
}

}  // namespace lockstep
