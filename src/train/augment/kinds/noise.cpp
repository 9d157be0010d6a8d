#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

struct NoiseOptions {
  double std = 0.1;
};

class Noise final : public Augmentation {
 public:
  explicit Noise(const NoiseOptions& options) : options_(options) {}

  AugmentPass pass() const override { return AugmentPass::noise; }
  void check(const AugmentedSamples&) const override {}

  void draw(const AugmentedSamples&, RandomStream& random, AugmentDraw& draw) const override {
    const uint64_t words[] = {random.next(), random.next(), random.next(), random.next()};
    draw.noise_key = {words[0] << 32 | words[1], words[2] << 32 | words[3]};
    draw.noise_deviation = static_cast<float>(options_.std);
  }

 private:
  NoiseOptions options_;
};

}  // namespace

AugmentKind augmentations::noise() {
  return describe<Noise, NoiseOptions>(
      "noise", "adds normally distributed numbers, after normalization",
      {{"std", &NoiseOptions::std, "standard deviation", {.min = 0, .max = 1e6, .min_open = true}}});
}

}  // namespace lockstep
