#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct ColorJitterOptions {
  double brightness = 0.4, contrast = 0.4, saturation = 0.4;
};

class ColorJitter final : public Augmentation {
 public:
  explicit ColorJitter(const ColorJitterOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::color; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes == 0)
      refuse_augmentation("color_jitter", "{} have no colours. Remove it.", in_words(samples));
    if (options_.saturation > 0 && samples.channels != 3)
      refuse_augmentation(
          "color_jitter",
          "saturation needs 3 channels (red, green, blue), but {} have {}. Set saturation = 0.",
          in_words(samples), samples.channels);
  }

  void draw(const AugmentedSamples&, RandomStream& random, AugmentDraw& draw) const override {
    const auto factor = [&](double spread) {
      return static_cast<float>(1 + spread * (2 * static_cast<double>(random.next_uniform()) - 1));
    };
    draw.color = {factor(options_.brightness), factor(options_.contrast), factor(options_.saturation)};
  }

 private:
  ColorJitterOptions options_;
};

}  // namespace

AugmentKind augmentations::color_jitter() {
  return describe<ColorJitter, ColorJitterOptions>(
      "color_jitter", "changes brightness, contrast and saturation by random factors",
      {{"brightness", &ColorJitterOptions::brightness, "factors from 1 - N to 1 + N", kShare},
       {"contrast", &ColorJitterOptions::contrast, "factors from 1 - N to 1 + N", kShare},
       {"saturation", &ColorJitterOptions::saturation, "factors from 1 - N to 1 + N", kShare}});
}

}  // namespace lockstep
