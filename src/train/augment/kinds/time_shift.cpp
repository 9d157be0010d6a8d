#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct TimeShiftOptions {
  double max = 0.1;
};

/// Moves a signal along its axis; what leaves it is lost, and zeros take its place.
class TimeShift final : public Augmentation {
 public:
  explicit TimeShift(const TimeShiftOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::resample; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes != 1)
      refuse_augmentation("time_shift", "it needs signals, of one axis and channels, but these are {}. {}",
                          in_words(samples),
                          samples.axes == 0 ? "Remove it." : "Use crop, which moves samples along all axes.");
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    const auto most = static_cast<int64_t>(options_.max * static_cast<double>(samples.extents[2]));
    Placement moved;
    moved.start[2] = (int64_t{random.next_below(static_cast<uint32_t>(2 * most + 1))} - most) * kPositionOne;
    then(draw.placement, moved);
  }

 private:
  TimeShiftOptions options_;
};

}  // namespace

AugmentKind augmentations::time_shift() {
  return describe<TimeShift, TimeShiftOptions>(
      "time_shift", "moves signals along their axis, and fills with zeros",
      {{"max", &TimeShiftOptions::max, "largest shift, as a share of the length", kFraction}});
}

}  // namespace lockstep
