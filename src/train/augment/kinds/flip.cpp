#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct FlipOptions {
  double probability = 0.5;
};

/// Mirrors one axis: 0 depth, 1 height, 2 width.
template <int axis>
class Flip final : public Augmentation {
 public:
  explicit Flip(const FlipOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::resample; }

  void check(const AugmentedSamples& samples) const override {
    constexpr const char* kNames[] = {"depth_flip", "vertical_flip", "flip"};
    constexpr const char* kAxes[] = {"depth", "height", "width"};
    if (samples.axes < 3 - axis)
      refuse_augmentation(kNames[axis], "{} have no {}. Remove it.", in_words(samples), kAxes[axis]);
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    if (!(random.next_uniform() < options_.probability)) return;
    Placement mirrored;
    mirrored.start[axis] = (samples.extents[axis] - 1) * kPositionOne;
    mirrored.step[axis] = -kPositionOne;
    then(draw.placement, mirrored);
  }

 private:
  FlipOptions options_;
};

template <int axis>
AugmentKind flip_of(const char* name, const char* description) {
  return describe<Flip<axis>, FlipOptions>(
      name, description,
      {{"probability", &FlipOptions::probability, "share of the samples that are mirrored", kShare}});
}

}  // namespace

AugmentKind augmentations::flip() { return flip_of<2>("flip", "mirrors left and right (the width)"); }
AugmentKind augmentations::vertical_flip() {
  return flip_of<1>("vertical_flip", "mirrors top and bottom (the height)");
}
AugmentKind augmentations::depth_flip() { return flip_of<0>("depth_flip", "mirrors the depth of volumes"); }

}  // namespace lockstep
