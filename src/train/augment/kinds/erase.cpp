#include "src/train/augment/kinds.h"
#include "src/train/augment/kinds/boxes.h"

namespace lockstep {

namespace {

struct EraseOptions {
  double probability = 0.5;
  double min_area = 0.02, max_area = 0.33;
  double max_ratio = 3.3;
};

/// Random erasing (Zhong et al. 2017), with zeros.
class Erase final : public Augmentation {
 public:
  explicit Erase(const EraseOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::erase; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes == 0)
      refuse_augmentation("erase", "{} have no positions. Remove it.", in_words(samples));
    if (options_.min_area > options_.max_area)
      refuse_augmentation("erase", "min_area = {} is above max_area = {}.", options_.min_area,
                          options_.max_area);
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    if (!(random.next_uniform() < options_.probability)) return;
    const double share = options_.min_area +
                         (options_.max_area - options_.min_area) * static_cast<double>(random.next_uniform());
    const double ratio = random_ratio(options_.max_ratio, random);
    draw.patch = random_box(samples, share, ratio, random);
    draw.own = 0;
  }

 private:
  EraseOptions options_;
};

}  // namespace

AugmentKind augmentations::erase() {
  return describe<Erase, EraseOptions>(
      "erase", "sets a random box to 0, after normalization",
      {{"probability", &EraseOptions::probability, "share of the samples that get a box", kShare},
       {"min_area", &EraseOptions::min_area, "smallest share of the sample that the box covers", kShare},
       {"max_area", &EraseOptions::max_area, "largest share of the sample that the box covers", kShare},
       {"max_ratio",
        &EraseOptions::max_ratio,
        "largest ratio of the sides of the box",
        {.min = 1, .max = 100}}});
}

}  // namespace lockstep
