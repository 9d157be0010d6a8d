#include <algorithm>

#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct CropOptions {
  int64_t padding = 0;
  int64_t size = 0;
};

/// Cuts a box out of the padded sample.
class Crop final : public Augmentation {
 public:
  explicit Crop(const CropOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::resample; }
  int64_t size() const override { return options_.size; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes == 0) refuse_augmentation("crop", "{} have no positions. Remove it.", in_words(samples));
    if (options_.padding == 0 && options_.size == 0)
      refuse_augmentation("crop",
                          "it changes nothing without padding or size. Set padding = 4, for example.");
    const int64_t shortest = *std::min_element(samples.extents.end() - samples.axes, samples.extents.end());
    if (options_.size > shortest)
      refuse_augmentation("crop", "size = {} is larger than {}, whose shortest side has {}.", options_.size,
                          in_words(samples), shortest);
    const int64_t side = options_.size > 0 ? options_.size : shortest;
    if (options_.padding >= side)
      refuse_augmentation(
          "crop", "with padding = {}, a crop of {} could lie outside of {}. Set padding to at most {}.",
          options_.padding, side, in_words(samples), side - 1);
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    Placement moved;
    for (int a = 3 - samples.axes; a < 3; ++a) {
      const int64_t extent = samples.extents[static_cast<size_t>(a)];
      const int64_t size = options_.size > 0 ? options_.size : extent;
      const auto choices = static_cast<uint32_t>(extent + 2 * options_.padding - size + 1);
      moved.start[a] = (int64_t{random.next_below(choices)} - options_.padding) * kPositionOne;
    }
    then(draw.placement, moved);
  }

 private:
  CropOptions options_;
};

}  // namespace

AugmentKind augmentations::crop() {
  return describe<Crop, CropOptions>(
      "crop", "pads each side with zeros and cuts out a box at a random place; evaluation takes the middle",
      {{"padding", &CropOptions::padding, "positions added on each side", {.min = 0, .max = 4096}},
       {"size",
        &CropOptions::size,
        "extent of each axis of the box; 0: that of the sample",
        {.min = 0, .max = 65536}}});
}

}  // namespace lockstep
