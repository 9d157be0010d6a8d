#pragma once

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/ops/input/augment/color.h"
#include "src/ops/input/augment/noise.h"
#include "src/ops/input/augment/paste.h"
#include "src/ops/input/augment/resample.h"
#include "src/tensor/shape.h"

namespace lockstep {

/// The samples that are augmented, as the network sees them.
struct AugmentedSamples {
  Shape shape;                                 ///< channels-last; the last axis holds the channels
  int axes = 0;                                ///< number of spatial axes, 0 (a vector) to 3
  std::array<int64_t, 3> extents = {1, 1, 1};  ///< depth, height, width; 1 for an axis that is missing
  int64_t channels = 1;

  /// Whether the targets are at the positions of the sample, like a mask, and are moved with it.
  bool has_masks = false;
  /// Whether the targets can be blended: one class per sample, probabilities, labels or numbers.
  bool blends_targets = true;
};

/// The kinds of passes over a micro-batch that augmentations make.
enum class AugmentPass {
  resample,  ///< moves values of the sample, and of its mask
  color,
  erase,
  mix,  ///< blends the sample with its partner, and their targets
  noise
};

/// What happens to one sample in one pass. The default changes nothing; each pass reads its own members.
struct AugmentDraw {
  Placement placement;  ///< resample
  ColorFactors color;
  Patch patch;              ///< erase, mix
  float own = 1;            ///< erase, mix: weight of the sample inside the patch
  float own_of_target = 1;  ///< mix: weight of the sample's own targets
  NoiseKey noise_key;
  float noise_deviation = 0;
};

/// A random change of training samples, made from its options. A pure function of the random stream, which is
/// that of (run.seed, entry of the list, epoch, sample).
class Augmentation {
 public:
  virtual ~Augmentation() = default;
  virtual AugmentPass pass() const = 0;
  /// Extent that the sample has along each spatial axis afterwards; 0: as before. Of resampling only.
  virtual int64_t size() const { return 0; }
  /// Throws Error(usage) if samples of this shape cannot be augmented this way.
  virtual void check(const AugmentedSamples& samples) const = 0;
  /// Draws what happens to a sample and adds it to `draw`. Several augmentations of one resampling pass are
  /// composed by then(). In a mix, draw.patch.partner is set, and is -1 if the sample has no partner.
  virtual void draw(const AugmentedSamples& samples, RandomStream& random, AugmentDraw& draw) const = 0;
};

/// The same samples with `size` positions along each spatial axis, unless that is 0.
AugmentedSamples resized(AugmentedSamples samples, int64_t size);

/// Appends a placement: `next` reads what `placement` has given.
void then(Placement& placement, const Placement& next);

/// A box that covers a whole sample.
Patch whole_patch(const AugmentedSamples& samples, int64_t partner);

/// Throws Error(usage): "data.augment: NAME: ...".
template <typename... Args>
[[noreturn]] void refuse_augmentation(const char* name, fmt::format_string<Args...> format, Args&&... args) {
  fail(ExitCode::usage, "data.augment: {}: {}", name, fmt::format(format, std::forward<Args>(args)...));
}

/// "(32, 32, 3)", and what it is: "a vector of 7 values", "a sample of shape (32, 32, 3)".
std::string in_words(const AugmentedSamples& samples);

}  // namespace lockstep
