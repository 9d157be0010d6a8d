#include <algorithm>
#include <cmath>

#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct ResizedCropOptions {
  double min_area = 0.08, max_area = 1;
  double max_ratio = 1.33;
  int64_t size = 0;
};

/// The whole number nearest to `value` times kPositionOne.
int64_t position_of(double value) { return std::llround(value * static_cast<double>(kPositionOne)); }

/// Inception's crop (Szegedy et al. 2015, section 6): a box with a random share of the area and a random
/// ratio of its sides, scaled to the size of the sample.
class ResizedCrop final : public Augmentation {
 public:
  explicit ResizedCrop(const ResizedCropOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::resample; }
  int64_t size() const override { return options_.size; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes != 2)
      refuse_augmentation("resized_crop", "it needs images, of height and width, but these are {}.",
                          in_words(samples));
    if (options_.min_area > options_.max_area)
      refuse_augmentation("resized_crop", "min_area = {} is above max_area = {}.", options_.min_area,
                          options_.max_area);
    if (const int64_t shortest = std::min(samples.extents[1], samples.extents[2]); options_.size > shortest)
      refuse_augmentation("resized_crop", "size = {} is larger than {}, whose shortest side has {}.",
                          options_.size, in_words(samples), shortest);
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    const auto height = static_cast<double>(samples.extents[1]);
    const auto width = static_cast<double>(samples.extents[2]);
    const double area = height * width *
                        (options_.min_area + (options_.max_area - options_.min_area) *
                                                 static_cast<double>(random.next_uniform()));
    // The logarithm of the ratio is uniform, so that a ratio and its inverse are equally likely.
    const double log_ratio =
        (2 * static_cast<double>(random.next_uniform()) - 1) * std::log(options_.max_ratio);
    const double ratio = std::exp(log_ratio) * width / height;
    const double box_width = std::clamp(std::sqrt(area * ratio), 1.0, width);
    const double box_height = std::clamp(std::sqrt(area / ratio), 1.0, height);
    Placement scaled;
    const auto result = resized(samples, options_.size).extents;
    place(scaled, 1, height, box_height, result[1], random.next_uniform());
    place(scaled, 2, width, box_width, result[2], random.next_uniform());
    then(draw.placement, scaled);
  }

 private:
  /// Maps the centres of the output's positions to the box, which begins at a random place.
  static void place(Placement& placement, int axis, double extent, double box, int64_t result, float where) {
    const double begin = (extent - box) * static_cast<double>(where);
    const double step = box / static_cast<double>(result);
    placement.start[axis] = position_of(begin + step / 2 - 0.5);
    placement.step[axis] = position_of(step);
  }

  ResizedCropOptions options_;
};

}  // namespace

AugmentKind augmentations::resized_crop() {
  const Range area{.min = 0, .max = 1, .min_open = true};
  return describe<ResizedCrop, ResizedCropOptions>(
      "resized_crop",
      "cuts out a random box of an image and scales it; evaluation takes the middle, unscaled",
      {{"min_area", &ResizedCropOptions::min_area, "smallest share of the area", area},
       {"max_area", &ResizedCropOptions::max_area, "largest share of the area", area},
       {"max_ratio",
        &ResizedCropOptions::max_ratio,
        "largest ratio of the sides, relative to the image's",
        {.min = 1, .max = 100}},
       {"size",
        &ResizedCropOptions::size,
        "height and width of the result; 0: those of the image",
        {.min = 0, .max = 65536}}});
}

}  // namespace lockstep
