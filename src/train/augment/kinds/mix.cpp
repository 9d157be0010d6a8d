#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/train/augment/kinds.h"
#include "src/train/augment/kinds/boxes.h"

namespace lockstep {

namespace {

struct MixOptions {
  double alpha = 1;
  double probability = 1;
};
struct MixupOptions : MixOptions {
  MixupOptions() { alpha = 0.2; }
};

/// In (0, 1).
double uniform(RandomStream& random) { return (random.next() + 0.5) * 0x1p-32; }

double normal(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(uniform(random)));
  return radius * std::cos(2 * std::numbers::pi * uniform(random));
}

/// The logarithm of a number with the gamma distribution of shape a (Marsaglia and Tsang 2000, "A simple
/// method for generating gamma variables"; section 6 for a below 1). A logarithm, because small shapes give
/// numbers that no double holds.
double log_gamma(double a, RandomStream& random) {
  if (a < 1) return log_gamma(a + 1, random) + std::log(uniform(random)) / a;
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(random), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(uniform(random)) < x * x / 2 + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

/// A number with the distribution Beta(alpha, alpha).
double random_share(double alpha, RandomStream& random) {
  const double mine = log_gamma(alpha, random), other = log_gamma(alpha, random);
  return 1 / (1 + std::exp(other - mine));
}

/// mixup (Zhang et al. 2017): the sample and its partner, weighted.
class Mixup final : public Augmentation {
 public:
  explicit Mixup(const MixupOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::mix; }

  void check(const AugmentedSamples& samples) const override {
    if (!samples.blends_targets)
      refuse_augmentation("mixup",
                          "it blends targets, but a class at each position cannot be blended. Use cutmix.");
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    if (draw.patch.partner < 0 || !(random.next_uniform() < options_.probability)) return;
    draw.patch = whole_patch(samples, draw.patch.partner);
    draw.own = draw.own_of_target = static_cast<float>(random_share(options_.alpha, random));
  }

 private:
  MixOptions options_;
};

/// CutMix (Yun et al. 2019): a box of the partner, whose share of the sample is its share of the targets.
class Cutmix final : public Augmentation {
 public:
  explicit Cutmix(const MixOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::mix; }

  void check(const AugmentedSamples& samples) const override {
    if (samples.axes == 0)
      refuse_augmentation("cutmix", "{} have no positions. Use mixup.", in_words(samples));
  }

  void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const override {
    const int64_t partner = draw.patch.partner;
    if (partner < 0 || !(random.next_uniform() < options_.probability)) return;
    draw.patch = random_box(samples, 1 - random_share(options_.alpha, random), 1, random);
    draw.patch.partner = partner;
    draw.own = 0;
    draw.own_of_target = static_cast<float>(1 - share_of(samples, draw.patch));
  }

 private:
  MixOptions options_;
};

constexpr Range kAlphaRange{.min = 0, .max = 100, .min_open = true};
constexpr const char* kAlphaHelp = "of the distribution Beta(alpha, alpha) of the share";
constexpr const char* kMixed = "share of the samples that are mixed";

}  // namespace

AugmentKind augmentations::mixup() {
  return describe<Mixup, MixupOptions>(
      "mixup", "blends samples two by two, and their targets",
      {{"alpha", static_cast<double MixupOptions::*>(&MixOptions::alpha), kAlphaHelp, kAlphaRange},
       {"probability", static_cast<double MixupOptions::*>(&MixOptions::probability), kMixed, kShare}});
}
AugmentKind augmentations::cutmix() {
  return describe<Cutmix, MixOptions>(
      "cutmix", "pastes a random box of another sample, and blends their targets by its size",
      {{"alpha", &MixOptions::alpha, kAlphaHelp, kAlphaRange},
       {"probability", &MixOptions::probability, kMixed, kShare}});
}

}  // namespace lockstep
